"""
Which of the clips that are to measure or to calibrate a checkpoint it has seen before.

The rule: bytes decide, as everywhere; the same file under another name or in another folder is the
same clip. Other clips of an athlete or an event that trained it are reported too, where groups are
known. Every command that measures or calibrates checks its clips here and reports what it finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.card import HASH_DIGITS, ClipsCard, group_hash
from model_store.checkpoint import Checkpoint
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes, source_hash
from training.data.datasets.leaks import first_few
from training.display import warn

CONSEQUENCE_OF_ROLE = {
    "training": "trained it: figures on them are too good",
    "validation": "chose its weights: figures on them are too good",
    "calibration": "calibrated it: the coverage measured on them says nothing",
}
GROUPS = "groups"  # beside the roles: clips that are new, of a group that is not


@dataclass(frozen=True, slots=True)
class SeenClips:
    """Those of some clips that trained, validated or calibrated something, by role."""

    name: str
    """Of what was made: a checkpoint, a run, a method."""
    of: int
    """Number of clips that were checked."""
    roles: dict[str, list[str]]
    """Names of clips; every role of `CONSEQUENCE_OF_ROLE` is there, and `GROUPS`."""
    unlisted: tuple[str, ...]
    """What else it was made of that may have had some of them, of which no hashes are kept."""

    @property
    def counts(self) -> dict[str, int]:
        return {role: len(names) for role, names in self.roles.items()}

    @property
    def unknown(self) -> list[str]:
        """What to report where hashes are missing: a line, or none."""
        if not self.unlisted:
            return []
        return [
            f"{self.name} was trained on {', '.join(self.unlisted)} too, of which no hashes are"
            " kept: whether these clips are among them is not known"
        ]

    @property
    def notes(self) -> list[str]:
        """All that must be reported, a line each."""
        return [
            f"{len(names)} of {self.of} clips are known to {self.name} and"
            f" {CONSEQUENCE_OF_ROLE[role]} ({first_few(names)})"
            for role, names in self.roles.items()
            if names and role in CONSEQUENCE_OF_ROLE
        ] + self.not_quite_new

    @property
    def not_quite_new(self) -> list[str]:
        """What must be reported even of clips without a role, a line each."""
        if not (names := self.roles[GROUPS]):
            return self.unknown
        return [
            f"{len(names)} of {self.of} clips share a group, such as an athlete or an event, with"
            f" clips that trained {self.name}: figures on them are too good ({first_few(names)})",
            *self.unknown,
        ]

    def warn(self) -> None:
        for note in self.notes:
            warn(note)


def seen_by(checkpoint: Checkpoint, clips: Sequence[JudgedClip]) -> SeenClips:
    """Raises DataError for a clip that cannot be read."""
    return seen_among(checkpoint.reference, checkpoint.card.clips, clips)


def seen_among(name: str, known: ClipsCard, clips: Sequence[JudgedClip]) -> SeenClips:
    """Raises DataError for a clip that cannot be read."""
    # The simulator's clips have tracks: a judged one is none of those that it made.
    simulated = any(clip.tracks is not None for clip in clips)
    unlisted = tuple(
        source for source, kind in known.unlisted.items() if simulated or kind != "simulated"
    )
    names = [str(clip.path) for clip in clips]
    roles = _by_role(known, names, clip_hashes(clips))
    has_role, groups = {each for found in roles.values() for each in found}, {*known.groups}
    roles[GROUPS] = [
        each
        for each, clip in zip(names, clips, strict=True)
        if clip.group is not None and group_hash(clip.group) in groups and each not in has_role
    ]
    return SeenClips(name, len(clips), roles, unlisted)


def seen_files(checkpoint: Checkpoint, paths: Sequence[Path]) -> SeenClips:
    """Of files that need not be videos, as foreign ones; an empty one has not been seen."""
    paths = [path for path in paths if path.stat().st_size]
    roles = _by_role(checkpoint.card.clips, [*map(str, paths)], [*map(source_hash, paths)])
    roles[GROUPS] = []
    return SeenClips(checkpoint.reference, len(paths), roles, ())


def _by_role(known: ClipsCard, names: Sequence[str], hashes: Sequence[str]) -> dict[str, list[str]]:
    roles = {role: set(getattr(known, role)) for role in CONSEQUENCE_OF_ROLE}
    return {
        role: [n for n, digest in zip(names, hashes, strict=True) if digest[:HASH_DIGITS] in digits]
        for role, digits in roles.items()
    }
