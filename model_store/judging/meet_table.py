"""
A meet as a table: a CSV file with a dive a row.

    diver,dive,height,difficulty,j1,j2,j3,j4,j5
    Anna,107B,3,,8.5,8,8,8.5,9
    Ben,,,2.4,6,6.5,6,5.5,6

`j1` to `j11` are the judges' marks, always in the same order; an empty one is a judge who did not
judge that dive. Each dive has its number and the height in metres, or a difficulty. `diver` and
`deductions` (vault) may be left out. Commas, semicolons or tabs part the columns; with the last two
a number may have a decimal comma, as spreadsheets write it where that is usual.

The rule: what is wrong is named by its line and column, and as much of it as is found at once.
"""

import csv
import io
from collections.abc import Sequence

from model_store.errors import InvalidMeet
from model_store.judging.meet import Meet, MeetDive, judge_meet
from model_store.judging.panel import RULES
from model_store.number import number, shown

MOST_JUDGES = max(RULES["diving"].panels)
JUDGES = tuple(f"j{number}" for number in range(1, MOST_JUDGES + 1))
COLUMNS = ("diver", "dive", "height", "difficulty", "deductions", *JUDGES)
SHOWN = 10  # problems that are listed


class InvalidTable(ValueError):
    """A table that cannot be read; the text has a problem a line, each with its place."""

    def __init__(self, *problems: str) -> None:
        more = len(problems) - SHOWN
        listed = [*problems[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        super().__init__("\n".join(listed))


def judge_table(action: str, content: bytes) -> Meet:
    """The meet of a CSV file.   Raises InvalidTable, and InvalidPanel for an unknown action."""
    dives: list[tuple[int, MeetDive]] = []
    problems: list[tuple[int, str]] = []
    names, rows = _rows(content)
    for line, cells in rows:
        try:
            dives.append((line, _dive(names, cells)))
        except ValueError as error:
            problems.append((line, str(error)))
    if not (dives or problems):
        raise InvalidTable("no dives, need a line for each below the names of the columns")
    try:
        meet = judge_meet(action, [dive for _, dive in dives]) if dives else None
    except InvalidMeet as error:
        for index, field, text in error.problems:
            line, dive = dives[index]
            problems.append((line, f"{_columns(dive, field)}: {text}"))
    if problems:
        raise InvalidTable(*(f"line {line}, {text}" for line, text in sorted(problems)))
    assert meet is not None
    return meet


def _rows(content: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and the rows with their line numbers, without empty ones."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidTable("not in UTF-8; save the table as “CSV UTF-8”") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_names(names)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InvalidTable(f"line {reader.line_num}: {error}") from error
    return names, [(line, cells) for line, cells in rows if any(cells)]


def _check_names(names: Sequence[str]) -> None:
    named = [name for name in names if name]
    unknown = [name for name in named if name not in COLUMNS]
    if unknown or not any(name in JUDGES for name in named):
        found = ", ".join(map(shown, unknown)) or "no judge"
        need = f"need {', '.join(COLUMNS[:5])}, and j1 to j{MOST_JUDGES} for the marks"
        raise InvalidTable(f"line 1: {found}; {need}")
    if twice := {name for name in named if named.count(name) > 1}:
        raise InvalidTable(f"line 1: {', '.join(sorted(twice))} is there twice")


def _dive(names: Sequence[str], cells: Sequence[str]) -> MeetDive:
    """Raises ValueError, whose text begins with the column."""
    if len(cells) < len(names) or any(cells[len(names) :]):
        need = f"need {len(names)}; the cell of a judge who did not judge is empty"
        raise ValueError(f"{len(cells)} cells, {need}")
    row = dict(zip(names, cells, strict=False))

    def value(column: str) -> float | None:
        if not (text := row.get(column, "")):
            return None
        try:
            return number(text)
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from error

    return MeetDive(
        diver=row.get("diver") or None,
        dive=row.get("dive") or None,
        height=value("height"),
        difficulty=value("difficulty"),
        marks=tuple(value(column) for column in JUDGES),
        deductions=value("deductions") or 0.0,
    )


def _columns(dive: MeetDive, field: str) -> str:
    """Those that a field of a dive came from."""
    if field != "marks":
        return field
    given = [name for name, mark in zip(JUDGES, dive.marks, strict=True) if mark is not None]
    return " to ".join(dict.fromkeys([*given[:1], *given[-1:]])) or "j1"
