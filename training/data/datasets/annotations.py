"""
The plain data set: a folder with `annotations.csv` and the clips that it names.

Columns `clip` (path below the folder), `split` (train or test), `score` (points) are needed;
`difficulty`, `execution`, `marks` ("7.5 8.0 7.5": one a judge), `stage_starts` ("0 31 42 88 97":
first frame of the file in each stage, or seconds, see `stage_starts.py`), `group` (the athlete,
event or video: any name) and `deduction_<stage>` (points) are read where they are; others are left
alone. A clip may be a folder of JPEG frames; then `fps` says their rate. Tracks of a simulated clip
lie at `tracks/NAME.npz` for `clips/NAME.mp4`. What spreadsheets make of such a file is read, too:
see `model_store.tables`.

The rule: a bad file is one clear DataError, and nothing of it is used.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from model_store.tables.clip_names import ClipNames
from model_store.tables.judged_number import decimal
from model_store.tables.table import read_table
from model_store.video.frame_files import FrameFiles
from training.data.datasets.media import ClipPart, ClipSource, frame_files
from training.data.datasets.points import points, positive_number
from training.data.datasets.stage_starts import StageStarts
from training.errors import DataError, as_data_error

ANNOTATIONS = "annotations.csv"
NEEDED = ("clip", "split", "score")
KNOWN = ("difficulty", "execution", "marks", "stage_starts", "group", "fps")
DEDUCTION = "deduction_"

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClip:
    """One row: a clip and what the judges made of it."""

    path: Path
    """The video file, or the folder of its frames."""
    split: Split
    score: float
    columns: dict[str, str]
    """The row as it was read; `clip` names it within the data set."""
    group: str | None = None
    """Clips of one group stay on one side of every split: an athlete, an event, a video."""
    frames: FrameFiles | None = None
    """Where the clip is not one file."""
    start_s: float | None = None
    """Where the routine begins and ends, seconds of the file; None: where the file does."""
    end_s: float | None = None
    action: str | None = None
    """Where the clips of a data set are of several."""
    difficulty: float | None = None
    execution: float | None = None
    marks: tuple[float, ...] = ()
    """One a judge; empty where the data set has none."""
    stage_starts: StageStarts | None = None
    deductions: dict[str, float] = field(default_factory=dict)
    """Points by stage; empty where the data set has none."""

    @property
    def source(self) -> ClipSource:
        """What `file_times.read_timed` reads."""
        if self.frames is not None:
            return self.frames
        if self.start_s is None and self.end_s is None:
            return self.path
        return ClipPart(self.path, self.start_s, self.end_s)

    @property
    def tracks(self) -> Path | None:
        """The simulator's tracks of this clip, if there are any."""
        path = self.path.parent.parent / "tracks" / f"{self.path.stem}.npz"
        return path if path.is_file() else None


@as_data_error()
def read_annotations(folder: Path, split: Split | None = None) -> list[JudgedClip]:
    """The clips of one split, or all, in the order of the file.

    Every row is checked, whatever its split. Raises DataError.
    """
    path = folder / ANNOTATIONS
    if not path.exists():
        raise DataError(f"{path} is missing; need columns {', '.join(NEEDED)}")
    clips: list[JudgedClip] = []
    lines: dict[Path, int] = {}
    names = ClipNames(folder)
    for row in read_table(path, needed=NEEDED, known=KNOWN):
        where = f"{path}, line {row.line}"
        clip = _judged_clip(folder, names, row.cells, where)
        file = clip.path.resolve()  # one file may have several names
        if file in lines:
            raise DataError(f"{where}: {row.cells['clip']} again, first in line {lines[file]}")
        lines[file] = row.line
        clips.append(clip)
    if not clips:
        raise DataError(f"{path} names no clips")
    return of_split(clips, split, path)


def of_action(clips: list[JudgedClip], action: str | None, where: Path) -> list[JudgedClip]:
    """Those of one action, or all.   Raises DataError where there is none."""
    chosen = [clip for clip in clips if action is None or clip.action in (None, action)]
    if not chosen:
        there = ", ".join(sorted({str(clip.action) for clip in clips}))
        raise DataError(f"{where} has no clip of {action!r}, only of {there}")
    return chosen


def of_split(clips: list[JudgedClip], split: Split | None, where: Path) -> list[JudgedClip]:
    """Those of one split, or all.   Raises DataError where there is none."""
    chosen = [clip for clip in clips if split in (None, clip.split)]
    if not chosen:
        raise DataError(f"{where} has no clip of the split {split!r}")
    return chosen


def _judged_clip(folder: Path, names: ClipNames, row: dict[str, str], where: str) -> JudgedClip:
    path, frames = _clip(folder, names, row, where)
    split = row["split"].casefold()
    if split not in get_args(Split):
        raise DataError(f"{where}: split is {row['split']!r}, need train or test")
    return JudgedClip(
        path=path,
        split="train" if split == "train" else "test",
        score=points(row["score"], "score", where),
        columns=row | {"clip": _name(path, folder)},
        group=unicodedata.normalize("NFC", row.get("group", "")) or None,
        frames=frames,
        difficulty=_optional(row, "difficulty", where, positive_number),
        execution=_optional(row, "execution", where, points),
        marks=tuple(points(mark, "marks", where) for mark in row.get("marks", "").split()),
        stage_starts=_starts(row.get("stage_starts", ""), where),
        deductions={
            column.removeprefix(DEDUCTION): points(value, column, where)
            for column, value in row.items()
            if column.startswith(DEDUCTION)
        },
    )


def _name(path: Path, folder: Path) -> str:
    """Within the data set, with `/` on every system."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _clip(
    folder: Path, names: ClipNames, row: dict[str, str], where: str
) -> tuple[Path, FrameFiles | None]:
    """The file, or the folder and its frames."""
    path = names.find(row["clip"])
    if path is not None and path.is_dir() and row.get("fps"):
        return path, frame_files(path, _rate(row["fps"], where))
    if path is None or not path.is_file():
        raise DataError(
            f"{where}: clip {row['clip']!r} is not a file below {folder}{_hint(path, row['clip'])}"
        )
    if not path.stat().st_size:
        raise DataError(f"{where}: clip {row['clip']!r} has 0 bytes, need a video file")
    return path, None


def _hint(path: Path | None, name: str) -> str:
    """Why there may be no file."""
    if path is not None and path.is_dir():
        return ", and a folder of frames needs the column fps"
    if path is not None and path.is_symlink():
        return ": it is a link to a missing file"
    return "" if name.isascii() else "; if its letters are wrong here, save the table as UTF-8"


def _optional(
    row: dict[str, str], column: str, where: str, read: Callable[[object, str, str], float]
) -> float | None:
    value = row.get(column, "")
    return read(value, column, where) if value else None


def _rate(text: str, where: str) -> Fraction:
    try:
        rate = Fraction(decimal(text))
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(f"{where}: fps is {text!r}, need a number, as 25 or 30000/1001") from error
    if rate <= 0:
        raise DataError(f"{where}: fps is {text}, need more than 0")
    return rate


def _starts(text: str, where: str) -> StageStarts | None:
    try:
        return StageStarts.parse(text) if text else None
    except ValueError as error:
        raise DataError(f"{where}: stage_starts is {text!r}, {error}") from error
