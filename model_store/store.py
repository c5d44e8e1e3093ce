"""
The store: a folder of checkpoints, `<name>/<version>/`, and which version a name means.

    store/diving/1/…      never changed once published
    store/diving/current  the version that "diving" means; replaced by an atomic rename

The rule: files that systems and editors leave there are ignored, and what cannot be read is an
error of that checkpoint alone.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from model_store.card import Card
from model_store.checkpoint import (
    Checkpoint,
    copy_checkpoint,
    load_checkpoint,
    readable,
    save_checkpoint,
)
from model_store.confidence import Confidence
from model_store.errors import (
    CheckpointCorrupt,
    CheckpointExists,
    CheckpointNotFound,
    CheckpointUnreadable,
)
from model_store.files import replacing
from model_store.spec import NAME_PATTERN

if TYPE_CHECKING:
    from model_store.network import FragmentNetwork

SHIPPED = Path(__file__).parent / "checkpoints"
CURRENT = "current"
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class Store:
    """Checkpoints below `root`; by default SCORING_STORE, or else the shipped ones."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root or os.environ.get("SCORING_STORE") or SHIPPED)

    @readable()
    def names(self) -> list[str]:
        """Names with at least one version, or whose versions cannot be read; sorted."""
        if not self.root.is_dir():
            return []
        names = (path.name for path in self.root.iterdir() if re.fullmatch(NAME_PATTERN, path.name))
        return sorted(name for name in names if self._is_used(name))

    @readable()
    def versions(self, name: str) -> list[int]:
        """Published versions of a name, ascending; empty for an unknown name."""
        folder = self.root / self._checked(name)
        if not folder.is_dir():
            return []
        return sorted(
            int(p.name) for p in folder.iterdir() if _VERSION.fullmatch(p.name) and p.is_dir()
        )

    def references(self) -> list[str]:
        """`name@version` of all; the bare name where its versions cannot be read."""
        found = []
        for name in self.names():
            try:
                found += [f"{name}@{version}" for version in self.versions(name)]
            except CheckpointUnreadable:
                found.append(name)
        return found

    def current(self, name: str) -> int:
        """The version that the bare name means."""
        versions = self.versions(name)
        if not versions:
            raise CheckpointNotFound(f"no checkpoint {name!r}; there are {self.names()}")
        with readable():
            try:
                text = (self.root / name / CURRENT).read_text("utf-8-sig").strip()
            except (FileNotFoundError, UnicodeDecodeError):
                text = ""
        if not _VERSION.fullmatch(text):
            raise CheckpointCorrupt(f"{name}/{CURRENT} is missing or not a version")
        if int(text) not in versions:
            raise CheckpointCorrupt(f"{name}/{CURRENT} is {text}, there are {versions}")
        return int(text)

    def resolve(self, reference: str) -> tuple[str, int]:
        """ "diving" or "diving@1" -> (name, version).

        Raises CheckpointNotFound; for a bare name CheckpointCorrupt; CheckpointUnreadable.
        """
        name, at, version = reference.partition("@")
        if not at:
            return name, self.current(name)
        if not _VERSION.fullmatch(version) or int(version) not in self.versions(name):
            raise CheckpointNotFound(
                f"no checkpoint {reference!r}; versions of {name!r}: {self.versions(name)}"
            )
        return name, int(version)

    def path(self, reference: str) -> Path:
        name, version = self.resolve(reference)
        return self.root / name / str(version)

    def load(self, reference: str) -> Checkpoint:
        """Load and verify "diving" (its current version) or "diving@1"."""
        name, version = self.resolve(reference)
        checkpoint = load_checkpoint(self.root / name / str(version))
        if (checkpoint.name, checkpoint.version) != (name, version):
            raise CheckpointCorrupt(
                f"the folder {name}/{version} holds {checkpoint.name}@{checkpoint.version}"
            )
        return checkpoint

    def next_version(self, name: str) -> int:
        return max(self.versions(name), default=0) + 1

    def publish(
        self,
        card: Card,
        network: "FragmentNetwork",
        *,
        golden_clip: bytes,
        readme: str,
        pictures: Mapping[str, bytes] = MappingProxyType({}),
        confidence: Confidence | None = None,
        half: bool = True,
    ) -> Checkpoint:
        """Write `card.version` of `card.name`, load it back, then make it the current one.

        Of several that are published at the same moment the newest becomes the current one.
        Raises CheckpointExists if the version is there.
        """
        before = set(self.versions(card.name))
        folder = self.root / card.name / str(card.version)
        save_checkpoint(
            folder,
            card,
            network,
            golden_clip=golden_clip,
            readme=readme,
            pictures=pictures,
            confidence=confidence,
            half=half,
        )
        checkpoint = load_checkpoint(folder)
        current = card.version
        self.make_current(card.name, current)
        # Whoever looks last, and writes last, has seen them all.
        while newer := {each for each in self.versions(card.name) if each > current} - before:
            current = max(newer)
            self.make_current(card.name, current)
        return checkpoint

    def add_from(self, other: "Store") -> list[str]:
        """Copy each version of `other` that is not here; the references of what was copied.

        What is here stays as it is, and so does what a name means; a name that is new here means
        what it does in `other`. Raises CheckpointCorrupt for one whose hashes do not match.
        """
        added = []
        for name in other.names():
            for version in sorted({*other.versions(name)} - {*self.versions(name)}):
                place = Path(name) / str(version)
                with contextlib.suppress(CheckpointExists):  # another process does the same
                    copy_checkpoint(other.root / place, self.root / place)
                    added.append(f"{name}@{version}")
            if not (self.root / name / CURRENT).exists():
                self.make_current(name, other.current(name))
        return added

    def add(self, folder: Path) -> tuple[str, bool]:
        """Copy the checkpoint in `folder`: its reference, and whether it is new here.

        A name that is new here means this version from now on; what others mean stays. Raises
        CheckpointExists where another checkpoint has that name and version already, and what
        `load_checkpoint` does.
        """
        checkpoint = load_checkpoint(folder)
        name, version, reference = checkpoint.name, checkpoint.version, checkpoint.reference
        is_new = version not in self.versions(name)
        if is_new:
            copy_checkpoint(folder, self.root / name / str(version))
        elif self.load(reference).sha256 != checkpoint.sha256:
            raise CheckpointExists(f"{self.root} has another {reference} already")
        if not (self.root / name / CURRENT).exists():
            self.make_current(name, version)
        return reference, is_new

    def make_current(self, name: str, version: int) -> None:
        """Let the bare name mean this version: an upgrade, or a roll-back."""
        self.resolve(f"{name}@{version}")
        with replacing(self.root / name / CURRENT) as partial:
            partial.write_text(f"{version}\n")
            partial.chmod(0o644)  # everybody may read it

    def _is_used(self, name: str) -> bool:
        try:
            return bool(self.versions(name))
        except CheckpointUnreadable:
            return True

    def _checked(self, name: str) -> str:
        if not re.fullmatch(NAME_PATTERN, name):
            raise CheckpointNotFound(f"{name!r} is not a checkpoint name (a-z, 0-9 and -)")
        return name
