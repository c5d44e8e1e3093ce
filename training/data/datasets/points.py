"""
Numbers that judges gave, checked.

Where they are text, a comma may stand for the decimal point: no score is in the thousands.
"""

import math
import re
from typing import Any

from model_store.judging.difficulty import execution_of
from model_store.spec import DifficultyRule
from training.errors import DataError


def points(value: object, what: str, where: str) -> float:
    """A finite number of at least 0.   Raises DataError, which names its place."""
    try:
        number = float(decimal(value) if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {what} is {value!r}, need a number") from error
    if not math.isfinite(number) or number < 0:
        raise DataError(f"{where}: {what} is {value}, need a finite number of at least 0")
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
        raise DataError(f"{where}: {what} is 0, need more")
    return number


def whole(value: Any, what: str, where: str) -> int:
    """A whole number of at least 0."""
    number = points(value, what, where)
    if number % 1:
        raise DataError(f"{where}: {what} is {value}, need a whole number")
    return int(number)


def marks(values: Any, where: str) -> tuple[float, ...]:
    """One a judge; none where the annotations have none."""
    if values is None:
        return ()
    return tuple(points(value, "judge_scores", where) for value in values)


def judged_execution(score: float, difficulty: float | None, rule: DifficultyRule) -> float | None:
    """What the difficulty leaves of the score; None where it is not known, or more than that."""
    if difficulty is None:
        return None
    execution = execution_of(score, difficulty, rule)
    return execution if execution >= 0 else None
