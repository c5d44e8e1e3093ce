"""
A table of clips, a row each, with what is declared and judged of them.

    clip,dive,height,score
    clips/smith-3.mp4,107B,3,71.40

`clip` is a path below the table's folder. Other columns may be left out, and so may their cells:
`difficulty`, or `dive` and `height` (metres); `start_s` and `end_s` (seconds of the file); `score`
(what judges gave, points), or `marks` ("8.5 8 8", one a judge) with `deductions` (vault), from
which it follows where the difficulty is known. Further columns are left alone.

The rule: a table that cannot be read is one InvalidFile, and a wrong row costs itself alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_store.errors import InvalidDifficulty, InvalidField, InvalidFile, RequestError
from model_store.judging.difficulty import check_difficulty
from model_store.judging.dive_difficulty import DeclaredDive, declared
from model_store.number import numbers
from model_store.tables.clip_names import ClipNames
from model_store.tables.judged_number import points
from model_store.tables.table import Row, read_table

NEEDED = ("clip",)
KNOWN = (
    "difficulty", "dive", "height", "start_s", "end_s", "score", "marks", "deductions",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """A clip that is to be scored, and what is known of it."""

    name: str
    """As the user wrote it."""
    path: Path
    difficulty: float | None = None
    dive: DeclaredDive | None = None
    """Where the difficulty is that of a dive."""
    start_s: float | None = None
    """Where the routine begins and ends, seconds of the file; None: where the file does."""
    end_s: float | None = None
    judged: float | None = None
    """What judges gave, points."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """The row of the table, by heading."""
    problem: str | None = None
    """Why this clip cannot be scored, where that is known already."""


def read_clip_table(
    path: Path, action: str, *, needs_difficulty: bool = False
) -> list[ClipRequest]:
    """The clips of a table, in its order, at least one.   Raises InvalidFile.

    A difficulty must be one that the tables of `action` hold. With `needs_difficulty` a row without
    one is wrong: the checkpoint predicts the execution alone.
    """
    names = ClipNames(path.parent)
    requests = []
    for row in read_table(path, needed=NEEDED, known=KNOWN):
        name, place = row.cells["clip"], names.find(row.cells["clip"])
        try:
            request = _request(row, place, path.parent, action, needs_difficulty)
        except (InvalidFile, RequestError, ValueError) as error:
            column = f"{error.field}: " if isinstance(error, InvalidField) else ""
            problem = f"line {row.line}: {column}{error}"
            place = path.parent / name if place is None else place
            request = ClipRequest(name=name, path=place, cells=row.cells, problem=problem)
        requests.append(request)
    if not requests:
        raise InvalidFile(f"{path} names no clips")
    return requests


def _request(
    row: Row, path: Path | None, folder: Path, action: str, needs_difficulty: bool
) -> ClipRequest:
    """Raises InvalidFile, RequestError and ValueError."""
    name = row.cells["clip"]
    if path is None:
        raise InvalidFile(f"clip {name!r} is not a file below {folder}")
    if path.is_dir():
        raise InvalidFile(f"clip {name!r} is a folder, need a video file")

    def value(column: str) -> float | None:
        text = row.cells.get(column, "")
        try:
            return points(text, column, "") if text else None
        except InvalidFile as error:
            raise InvalidFile(str(error).removeprefix(": ")) from error

    difficulty, dive = declared(
        action, value("difficulty"), row.cells.get("dive") or None, value("height")
    )
    if difficulty is not None:
        check_difficulty(action, difficulty)
    elif needs_difficulty:
        raise InvalidDifficulty("difficulty is missing, the checkpoint predicts the execution")
    judged = value("score")
    if judged is None:
        judged = _total(action, row.cells.get("marks", ""), difficulty, value("deductions"))
    return ClipRequest(
        name=name,
        path=path,
        difficulty=difficulty,
        dive=dive,
        start_s=value("start_s"),
        end_s=value("end_s"),
        judged=judged,
        cells=row.cells,
    )


def _total(
    action: str, marks: str, difficulty: float | None, deductions: float | None
) -> float | None:
    """Of a panel; None where it has no rules or nothing to multiply with.   Raises InvalidPanel."""
    from model_store.judging.panel import RULES, judge

    if not marks or difficulty is None or action not in RULES:
        return None
    return judge(action, numbers(marks), difficulty, deductions or 0.0).total
