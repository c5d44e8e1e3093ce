"""
Numbers in a table that judges gave, checked.

Where they are text, a comma may stand for the decimal point: no score is in the thousands.
"""

import math
import re

from model_store.errors import InvalidFile


def points(value: object, what: str, where: str) -> float:
    """A finite number of at least 0.   Raises InvalidFile, which names its place."""
    try:
        number = float(decimal(value) if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InvalidFile(f"{where}: {what} is {value!r}, need a number") from error
    if not math.isfinite(number) or number < 0:
        raise InvalidFile(f"{where}: {what} is {value}, need a finite number of at least 0")
    return number


def decimal(text: str) -> str:
    """ "71,40" -> "71.40".   Raises ValueError for what Python alone takes for a number."""
    if "_" in text or not text.isascii():
        raise ValueError(f"{text} has an underscore, or digits of another script")
    return text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d+", text) else text


def positive_number(value: object, what: str, where: str) -> float:
    """The same, above 0: a difficulty that something is divided by."""
    number = points(value, what, where)
    if number == 0:
        raise InvalidFile(f"{where}: {what} is 0, need more")
    return number
