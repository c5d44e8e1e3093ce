"""
One checkpoint: a folder that holds a network and what makes it usable.

    weights.safetensors   matrices and convolutions as float16 or float32, the rest as float32;
                          and the arrays of `confidence.py`, if it was calibrated
    card.json             see `card.py`
    README.md             the card for people
    golden.mp4, .json     a small clip and the answer it must give
    *.png                 pictures that README.md shows, if it was measured
    MANIFEST.sha256       hashes of all of these; `sha256sum -c` reads it

The rule: a folder is either whole and verified or an error with a name. It is written beside its
place and renamed into it; loading checks every hash and every value, and asking for the network
every name and shape. A file that is not listed is an error, too, unless it is one that systems and
editors leave: those are never read.
"""

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from model_store.card import Card
from model_store.clip import load_clip
from model_store.confidence import PREFIX, Confidence
from model_store.engines import make_engine
from model_store.errors import (
    CheckpointCorrupt,
    CheckpointExists,
    CheckpointIncompatible,
    CheckpointNotFound,
    CheckpointUnreadable,
    SpecError,
)
from model_store.files import make_public_folder, new_folder
from model_store.spec import ClipSpec
from model_store.stored_network import StoredNetwork, Weights

if TYPE_CHECKING:
    from model_store.network import FragmentNetwork

WEIGHTS, CARD, README = "weights.safetensors", "card.json", "README.md"
GOLDEN_CLIP, GOLDEN_ANSWER, MANIFEST = "golden.mp4", "golden.json", "MANIFEST.sha256"
PICTURES = ("scores.png", "fragments.png")
FILES = (WEIGHTS, CARD, README, GOLDEN_CLIP, GOLDEN_ANSWER)
LEFT_BY_SYSTEMS = (  # macOS, Windows, NFS, Synology, editors; most of it begins with a dot
    ".*", "Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information",
    "@eaDir", "#recycle", "lost+found", "__MACOSX", "*~", "#*#",
)  # fmt: skip
GOLDEN_TOLERANCE = 0.25  # points; what half precision may differ from float32


@dataclass(frozen=True, slots=True)
class GoldenOutput:
    score: float
    contributions: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Golden:
    """The answer that the golden clip must give, from the float32 reference engine.

    In golden.json the execution output of a network with both has a block of its own.
    """

    outputs: tuple[GoldenOutput, ...]
    """Of each output of the network, in order and in its points."""
    tolerance: float

    @classmethod
    def from_json(cls, text: str, outputs: int) -> "Golden":
        try:
            values = json.loads(text)
            answers = [values, values["execution"]] if outputs == 2 else [values]
            return cls(
                tuple(
                    GoldenOutput(float(each["score"]), tuple(map(float, each["contributions"])))
                    for each in answers
                ),
                float(values["tolerance"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointIncompatible(
                f"{GOLDEN_ANSWER} needs score, contributions and tolerance as numbers, and for a"
                " network with both outputs the execution's"
            ) from error

    def to_json(self) -> str:
        answer, *others = map(asdict, self.outputs)
        values = answer | {"tolerance": self.tolerance}
        if others:
            [values["execution"]] = others
        return json.dumps(values, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint."""

    path: Path
    sha256: str
    """Hash of MANIFEST.sha256, hence of everything in the folder."""
    card: Card
    stored: StoredNetwork
    confidence: Confidence | None
    """None for a checkpoint that was not calibrated."""
    golden: Golden

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def version(self) -> int:
        return self.card.version

    @property
    def reference(self) -> str:
        """NAME@VERSION"""
        return f"{self.name}@{self.version}"

    @property
    def spec(self) -> ClipSpec:
        return self.card.spec

    @property
    def network(self) -> "FragmentNetwork":
        """In evaluation mode, float32, on the CPU; read from the folder when first asked for.

        Raises CheckpointIncompatible, CheckpointCorrupt, CheckpointUnreadable.
        """
        return self.stored.network

    @property
    def golden_clip(self) -> Path:
        return self.path / GOLDEN_CLIP

    @property
    def pictures(self) -> dict[str, bytes]:
        """Those that README.md shows, by file name."""
        paths = (self.path / name for name in PICTURES)
        return {path.name: path.read_bytes() for path in paths if path.is_file()}


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises CheckpointNotFound, CheckpointCorrupt (a hash does not match), CheckpointUnreadable or
    CheckpointIncompatible (the content does not fit this code or itself; where weights have another
    name or shape, only its `network` does).
    """
    contents = verified_files(folder)
    card = parse_card(contents[CARD])
    _, confidence = parse_weights(contents[WEIGHTS], card)
    digest = hashlib.sha256(contents[WEIGHTS]).hexdigest()
    stored = StoredNetwork(
        card.network,
        card.spec,
        digest=digest,
        read=lambda: reread_weights(folder / WEIGHTS, digest, card),
    )
    return Checkpoint(
        path=folder,
        sha256=hashlib.sha256(contents[MANIFEST]).hexdigest(),
        card=card,
        stored=stored,
        confidence=confidence,
        golden=Golden.from_json(contents[GOLDEN_ANSWER].decode(), len(card.network.outputs)),
    )


def save_checkpoint(
    folder: Path,
    card: Card,
    network: "FragmentNetwork",
    *,
    golden_clip: bytes,
    readme: str,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
    confidence: Confidence | None = None,
    half: bool = True,
) -> Path:
    """Write a checkpoint; `half` stores the network's matrices and convolutions as float16.

    `pictures` are by file name, some of `PICTURES`; `confidence` replaces the calibration on the
    card. The golden answer is computed here, from the weights as stored. Raises CheckpointExists
    if the folder is there.
    """
    if folder.exists():
        raise CheckpointExists(f"{card.name}@{card.version} is already published")
    card = card.model_copy(update={"calibration": confidence and confidence.numbers()})
    contents = {
        WEIGHTS: save_arrays(stored_weights(network, confidence, half)),
        CARD: (card.model_dump_json(indent=2) + "\n").encode(),
        README: readme.encode(),
        GOLDEN_CLIP: golden_clip,
        **pictures,
    }
    weights, _ = parse_weights(contents[WEIGHTS], card)
    stored = StoredNetwork(card.network, card.spec, digest="", read=lambda: weights)
    clip = load_clip(golden_clip, card.spec)
    answers = make_engine(stored, name="torch").score(clip[None]).contributions
    outputs = (
        GoldenOutput(float(each.score[0]), tuple(map(float, each.contribution[0])))
        for each in answers
    )
    golden = Golden(tuple(outputs), GOLDEN_TOLERANCE)
    contents[GOLDEN_ANSWER] = golden.to_json().encode()
    contents[MANIFEST] = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items()
    ).encode()
    write_folder(folder, contents)
    return folder


def copy_checkpoint(source: Path, folder: Path) -> None:
    """The same checkpoint at another place.   Raises CheckpointCorrupt, CheckpointUnreadable."""
    write_folder(folder, verified_files(source))


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Files by name, in a folder that has its name once all are written; everybody may read it.

    Raises CheckpointExists if another process has written it meanwhile.
    """
    make_public_folder(folder.parent)
    try:
        with new_folder(folder) as partial:
            for name, content in contents.items():
                (partial / name).write_bytes(content)
                (partial / name).chmod(0o644)
            partial.chmod(0o755)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            reference = f"{folder.parent.name}@{folder.name}"
            raise CheckpointExists(f"{reference} is already published") from error
        raise


@contextmanager
def readable() -> Iterator[None]:
    """Raise an error of the system about a file as a CheckpointUnreadable, which names the file."""
    try:
        yield
    except OSError as error:
        raise CheckpointUnreadable(str(error.filename), error.strerror or "unknown") from error


@readable()
def verified_files(folder: Path) -> dict[str, bytes]:
    """The files of a checkpoint by name, each checked against the manifest, and that itself."""
    if not folder.is_dir():
        raise CheckpointNotFound(f"no checkpoint {folder.parent.name}@{folder.name}")
    try:
        manifest = (folder / MANIFEST).read_bytes()
        lines = manifest.decode().splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise CheckpointCorrupt(f"{folder.name}: {MANIFEST} is missing or not text") from error
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if sorted({*listed} - {*PICTURES}) != sorted(FILES) or len(lines) != len(listed):
        raise CheckpointCorrupt(f"{MANIFEST} lists {sorted(listed)}, need {sorted(FILES)}")
    there = {path.name for path in folder.iterdir() if not is_left_by_a_system(path.name)}
    if unlisted := there - {MANIFEST, *listed}:
        raise CheckpointCorrupt(f"files that {MANIFEST} does not list: {sorted(unlisted)}")
    contents = {MANIFEST: manifest}
    for name, digest in listed.items():
        try:
            contents[name] = (folder / name).read_bytes()
        except FileNotFoundError as error:
            raise CheckpointCorrupt(f"{name} is missing") from error
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise CheckpointCorrupt(f"{name} differs from {MANIFEST}")
    return contents


def is_left_by_a_system(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in LEFT_BY_SYSTEMS)


def parse_card(content: bytes) -> Card:
    try:
        return Card.model_validate_json(content)
    except (ValidationError, SpecError) as error:
        raise CheckpointIncompatible(f"{CARD}: {error}") from error


def stored_weights(
    network: "FragmentNetwork", confidence: Confidence | None, half: bool
) -> dict[str, NDArray[Any]]:
    halved = {name for name, p in network.named_parameters() if half and p.ndim >= 2}
    weights = {
        name: (each.half() if name in halved else each).contiguous().numpy(force=True)
        for name, each in network.state_dict().items()
    }
    arrays = confidence.arrays() if confidence else {}
    return weights | {PREFIX + name: array for name, array in arrays.items()}


@readable()
def reread_weights(path: Path, digest: str, card: Card) -> Weights:
    """Those of the network, once more.   Raises CheckpointCorrupt, CheckpointUnreadable."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointCorrupt(f"{path.name} has changed")
    return parse_weights(content, card)[0]


def parse_weights(content: bytes, card: Card) -> tuple[Weights, Confidence | None]:
    """Of the network, and its statistics.   Raises CheckpointIncompatible."""
    try:
        weights = load_arrays(content)
    except SafetensorError as error:
        raise CheckpointIncompatible(f"{WEIGHTS} is not a safetensors file") from error
    except KeyError as error:  # a type that NumPy lacks
        raise CheckpointIncompatible(f"{WEIGHTS} has {error}, need float16 or float32") from error
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise CheckpointIncompatible(f"{name} has values that are not finite")
    arrays = {
        name.removeprefix(PREFIX): weights.pop(name)
        for name in list(weights)
        if name.startswith(PREFIX)
    }
    if arrays and card.calibration is None:
        raise CheckpointIncompatible(f"{WEIGHTS} has {sorted(arrays)}, the card no calibration")
    confidence = Confidence.from_parts(card.calibration, arrays) if card.calibration else None
    if confidence is not None and {*confidence.outputs} != {*card.network.outputs}:
        raise CheckpointIncompatible(
            f"the calibration is of {sorted(confidence.outputs)}, the network has"
            f" {sorted(card.network.outputs)}"
        )
    return weights, confidence
