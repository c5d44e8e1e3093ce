"""
Numbers as strangers write them: in a form, on a command line, in a table.

The rule: ASCII digits with a decimal point, and finite. Python alone would also take `1_0`, the
digits of other scripts, `infinity` and `nan`.
"""

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def number(text: str) -> float:
    """One number; space around it is ignored.   Raises ValueError."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a number, need one such as 3.3")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is too large")
    return value


def numbers(text: str) -> list[float]:
    """Several numbers between commas or spaces; a comma is then no decimal point.

    Raises ValueError, which counts them from 1.
    """
    found = []
    for place, part in enumerate(text.split(",") if "," in text else text.split(), start=1):
        try:
            found.append(number(part))
        except ValueError as error:
            raise ValueError(f"number {place}: {error}; write 8.5,8,8 or 8.5 8 8") from error
    return found
