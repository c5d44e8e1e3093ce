"""Where the pixels of a clip are: a video file or a part of one, or a folder of JPEG frames."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from model_store.video.frame_files import FrameFiles
from training.errors import DataError

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm")
PICTURES = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class ClipPart:
    """The part of a video file between two times of a player's clock."""

    path: Path
    start_s: float | None = None
    """Seconds; None is the file's beginning, of `end_s` its end."""
    end_s: float | None = None

    def __str__(self) -> str:
        return str(self.path)


ClipSource = Path | FrameFiles | ClipPart


@dataclass(frozen=True, slots=True)
class Media:
    path: Path
    """The file, or the folder."""
    frames: FrameFiles | None
    """Of a folder."""


def find_media(stem: Path, fps: Fraction) -> Media:
    """`stem` with the ending of a video, or the folder `stem`, whose frames go at `fps`.

    Raises DataError where there is neither, or no frame in the folder.
    """
    for ending in VIDEOS:
        if (file := stem.with_name(stem.name + ending)).is_file():
            return Media(file, None)
    if not stem.is_dir():
        raise DataError(f"{stem} is missing, need {stem.name}.avi or a folder of JPEG frames")
    return Media(stem, frame_files(stem, fps))


def frame_files(folder: Path, fps: Fraction) -> FrameFiles:
    """All of a folder.   Raises DataError where there are none."""
    return FrameFiles(tuple(frame_paths(folder).values()), fps)


def frame_paths(folder: Path) -> dict[int, Path]:
    """The JPEG files of a folder by the number in their names, ascending.   Raises DataError."""
    found: dict[int, Path] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix.lower() in PICTURES:
            if (digits := re.search(r"\d+$", path.stem)) is None:
                raise DataError(f"{path}: frames need a number at the end of their names")
            number = int(digits[0])
            if number in found:
                raise DataError(f"{path} and {found[number].name} have the same number")
            found[number] = path
    if not found:
        raise DataError(f"{folder} has no JPEG frames")
    return dict(sorted(found.items()))


def first_of(root: Path, names: Iterable[str], what: str) -> Path:
    """The first of these places below `root` that exists.   Raises DataError, naming them all."""
    names = list(names)
    for name in names:
        if (place := root / name).exists():
            return place
    raise DataError(f"{root} lacks {what}: need {' or '.join(names)}")
