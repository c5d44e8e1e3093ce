"""Numbers that judges gave, checked as in `model_store.tables`. All raise DataError."""

from typing import Any

from model_store.judging.difficulty import execution_of
from model_store.spec import DifficultyRule
from model_store.tables import judged_number
from training.errors import DataError, as_data_error

points = as_data_error()(judged_number.points)
positive_number = as_data_error()(judged_number.positive_number)


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
