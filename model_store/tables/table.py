"""
A table with one heading a column, as spreadsheets write it.

Columns may be separated by commas, semicolons or tabs, with or without Excel's first line `sep=;`.
Space around a cell is cut off; empty rows, and empty columns without a heading, are left out.
Spreadsheets leave out separators at the end of a row whose last cells are empty: so may a row here.

The rule: a cell whose column is in doubt is an InvalidFile that names its line.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from model_store.errors import InvalidFile
from model_store.tables.text_file import read_text

SEPARATORS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?[,;\t|]*(\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    """Of the file, from 1: where the row begins."""
    cells: dict[str, str]
    """By heading."""


def read_table(path: Path, *, needed: Collection[str], known: Collection[str] = ()) -> list[Row]:
    """All rows with something in them.   Raises InvalidFile.

    Headings that are `needed` or `known` are written in small letters, and found in any.
    """
    text = read_text(path)
    first = _SEPARATOR_LINE.match(text)
    if first is not None:
        text = text[first.end() :]
    before = 0 if first is None else 1
    separator = _separator(text, needed) if first is None else first[1]
    rows = _rows(text, separator, path, before)
    small = {*needed, *known}
    header = [
        name.casefold() if name.casefold() in small else name for name in next(rows, (0, []))[1]
    ]
    named = [name for name in header if name]
    if missing := [name for name in needed if name not in named]:
        raise InvalidFile(f"{path} has columns {named}, lacks {missing}")
    if len(set(named)) < len(named):
        raise InvalidFile(f"{path} names a column twice: {named}")
    last = max(header.index(name) for name in needed)
    table = []
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) <= last:
            raise InvalidFile(f"{where}: {len(cells)} fields, need {len(named)} fields")
        pairs = list(zip_longest(header, cells, fillvalue=""))
        if stray := [cell for name, cell in pairs if cell and not name]:
            raise InvalidFile(
                f"{where}: {stray[0]!r} belongs to no column, need {len(named)} fields;"
                f" one that holds {separator!r} stands in quotation marks"
            )
        table.append(Row(line, {name: cell for name, cell in pairs if name}))
    return table


def _separator(text: str, needed: Collection[str]) -> str:
    """The one that shows most of the needed headings."""

    def headings(separator: str) -> int:
        try:
            header = next(_rows(text, separator, Path(), 0), (0, []))[1]
        except InvalidFile:
            return 0
        return len({name.casefold() for name in header} & {*needed})

    return max(SEPARATORS, key=headings)


def _rows(text: str, separator: str, path: Path, before: int) -> Iterator[tuple[int, list[str]]]:
    """Those with something in them, and the line where each begins; `before` lines are cut off."""
    lines = io.StringIO(text, newline="")  # str.splitlines would cut at more than line ends
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = before + 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise InvalidFile(
            f'{path}, line {line}: no row can be read from here, is a quotation mark (") left'
            f" open? ({error})"
        ) from error
