"""
The plain data set: a folder with `annotations.csv` and the clips that it names.

Columns `clip` (path below the folder), `split` (train or test), `score` (points) are needed;
`difficulty`, `execution`, `marks` ("7.5 8.0 7.5": one a judge), `stage_starts` ("0 31 42 88 97":
first frame of the file in each stage, or seconds, see `stage_starts.py`) and `deduction_<stage>`
(points) are read where they are; others are left alone. A clip may be a folder of JPEG frames; then
`fps` says their rate. Tracks of a simulated clip lie at `tracks/NAME.npz` for `clips/NAME.mp4`.

The rule: a bad file is one clear DataError, and nothing of it is used.
"""

import csv
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from model_store.frame_files import FrameFiles
from training.datasets.media import frame_files
from training.datasets.points import points
from training.datasets.stage_starts import StageStarts
from training.errors import DataError

ANNOTATIONS = "annotations.csv"
NEEDED = ("clip", "split", "score")
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
    difficulty: float | None = None
    execution: float | None = None
    marks: tuple[float, ...] = ()
    """One a judge; empty where the data set has none."""
    stage_starts: StageStarts | None = None
    deductions: dict[str, float] = field(default_factory=dict)
    """Points by stage; empty where the data set has none."""

    @property
    def source(self) -> Path | FrameFiles:
        """What `model_store.clip` reads."""
        return self.path if self.frames is None else self.frames

    @property
    def tracks(self) -> Path | None:
        """The simulator's tracks of this clip, if there are any."""
        path = self.path.parent.parent / "tracks" / f"{self.path.stem}.npz"
        return path if path.is_file() else None


def read_annotations(folder: Path, split: Split | None = None) -> list[JudgedClip]:
    """The clips of one split, or all, in the order of the file.

    Every row is checked, whatever its split. Raises DataError.
    """
    path = folder / ANNOTATIONS
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; need columns {', '.join(NEEDED)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    reader = csv.DictReader(text.splitlines())
    header = reader.fieldnames or []
    if missing := [name for name in NEEDED if name not in header]:
        raise DataError(f"{path} has columns {list(header)}, lacks {missing}")
    if len(set(header)) < len(header):
        raise DataError(f"{path} names a column twice: {list(header)}")
    clips: list[JudgedClip] = []
    lines: dict[Path, int] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise DataError(f"{where}: need {len(header)} fields")
        clip = _judged_clip(folder, row, where)
        if clip.path in lines:
            raise DataError(f"{where}: {row['clip']} again, first in line {lines[clip.path]}")
        lines[clip.path] = reader.line_num
        clips.append(clip)
    if not clips:
        raise DataError(f"{path} names no clips")
    return of_split(clips, split, path)


def of_split(clips: list[JudgedClip], split: Split | None, where: Path) -> list[JudgedClip]:
    """Those of one split, or all.   Raises DataError where there is none."""
    chosen = [clip for clip in clips if split in (None, clip.split)]
    if not chosen:
        raise DataError(f"{where} has no clip of the split {split!r}")
    return chosen


def _judged_clip(folder: Path, row: dict[str, str], where: str) -> JudgedClip:
    name = row["clip"]
    path = folder / name
    frames = None
    if name and path.is_dir() and row.get("fps"):
        frames = frame_files(path, _rate(row["fps"], where))
    elif not name or not path.is_file():
        frames_too = ", and a folder of frames needs the column fps" if path.is_dir() else ""
        raise DataError(f"{where}: clip {name!r} is not a file below {folder}{frames_too}")
    if row["split"] not in get_args(Split):
        raise DataError(f"{where}: split is {row['split']!r}, need train or test")
    split: Split = "train" if row["split"] == "train" else "test"
    return JudgedClip(
        path=path,
        split=split,
        score=points(row["score"], "score", where),
        columns=row,
        frames=frames,
        difficulty=_optional(row, "difficulty", where),
        execution=_optional(row, "execution", where),
        marks=tuple(points(mark, "marks", where) for mark in row.get("marks", "").split()),
        stage_starts=_starts(row.get("stage_starts", ""), where),
        deductions={
            column.removeprefix(DEDUCTION): points(value, column, where)
            for column, value in row.items()
            if column.startswith(DEDUCTION)
        },
    )


def _optional(row: dict[str, str], column: str, where: str) -> float | None:
    value = row.get(column, "")
    return points(value, column, where) if value else None


def _rate(text: str, where: str) -> Fraction:
    try:
        rate = Fraction(text)
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
