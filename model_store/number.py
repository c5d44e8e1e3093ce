"""
Numbers as strangers write them: in a form, on a command line, in a table.

The rule: ASCII digits with a decimal point or one decimal comma, and finite. Python alone would
also take `1_0`, the digits of other scripts, `infinity` and `nan`. A comma that may as well part
two numbers, or thousands, is refused: nothing is guessed.
"""

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]{1,2}")  # three digits may be thousands
_SEPARATORS = re.compile(r"\s*[,;]\s+|\s+[,;]\s*|;|\s+")
_LONGEST = 1000  # characters of several numbers
_MOST_SHOWN = 24  # characters of a text that is quoted in an error


def number(text: str) -> float:
    """One number; space around it is ignored.   Raises ValueError."""
    written = text.strip()
    if _DECIMAL_COMMA.fullmatch(written):
        written = written.replace(",", ".")
    if not _NUMBER.fullmatch(written):
        raise ValueError(f"{shown(text)} is not a number, need one such as 3.3")
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"{shown(text)} is too large")
    return value


def numbers(text: str) -> list[float]:
    """Several numbers between commas, spaces or semicolons.

    A comma between two digits is a decimal comma where something else parts the numbers, as in
    `8,5 8 8,5`, and parts them where it is the only sign in the text, as in `8,8,9`. Where both may
    be meant, as in `8,5,8,8,5`, the text is refused. Raises ValueError, which counts from 1.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} characters, need at most {_LONGEST}")
    written = text.strip()
    if _SEPARATORS.search(written):
        parts = _SEPARATORS.split(written)
        if "." in written and any("," in part for part in parts):
            raise ValueError(f"{shown(text)} has decimal points and commas, need one of the two")
    else:
        parts = written.split(",")
        if "." not in written and any(part in ("0", "5") for part in parts[1:]):
            text = f"{shown(text)} can be read in two ways: a comma before 0 or 5 may be a decimal"
            raise ValueError(f"{text} comma. Put spaces between the numbers: 8,5 8 8,5 or 8 5 8")
    found = []
    for place, part in enumerate(parts, start=1):
        try:
            found.append(number(part))
        except ValueError as error:
            raise ValueError(f"number {place}: {error}; write 8.5,8,8 or 8.5 8 8") from error
    return found


def as_written(value: float) -> str:
    """A number in an error text: all digits that it was written with, and not only six of them."""
    return repr(value).removesuffix(".0")


def shown(text: str) -> str:
    """A text in an error text: quoted, and cut where it is long."""
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…")
