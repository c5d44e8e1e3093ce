"""
The declared difficulty: which ones there are, and how the score and the execution follow from it.

    score = execution × difficulty   (rule "multiply": diving)
    score = execution + difficulty   (rule "add": vault, skating)
"""

import math
from typing import Literal

from model_store.errors import InvalidDifficulty, InvalidPanel
from model_store.number import as_written
from model_store.spec import DifficultyRule

ScoredBy = Literal["video", "video and difficulty"]
"""What a score rests on."""

TABLES = {"diving": (1.0, 5.0), "vault": (1.0, 8.0)}
"""For each action the lowest and the highest difficulty that its tables hold, rounded outwards."""


def check_difficulty(action: str, difficulty: float) -> None:
    """Raise InvalidPanel for a difficulty that is not in the action's tables.

    Of an action without tables raise InvalidDifficulty for one that is not above 0.
    """
    if action not in TABLES:
        check_positive(difficulty)
        return
    low, high = TABLES[action]
    if not (low <= difficulty <= high and is_multiple(difficulty, 0.1)):
        raise InvalidPanel(
            f"{as_written(difficulty)}, need {low:g} to {high:g} in tenths for {action}",
            field="difficulty",
        )


def check_positive(difficulty: float) -> None:
    """Raise InvalidDifficulty for what cannot be a difficulty of any action."""
    if not (math.isfinite(difficulty) and difficulty > 0):
        text = f"difficulty is {as_written(difficulty)}, need a finite number above 0"
        raise InvalidDifficulty(text)


def factor_and_term(difficulty: float, rule: DifficultyRule) -> tuple[float, float]:
    """score = factor × execution + term"""
    return (difficulty, 0.0) if rule == "multiply" else (1.0, difficulty)


def execution_of(score: float, difficulty: float, rule: DifficultyRule) -> float:
    """What the difficulty leaves of a score."""
    factor, term = factor_and_term(difficulty, rule)
    return (score - term) / factor


def is_multiple(value: float, step: float) -> bool:
    """Whether `value` is a whole number of steps, as far as floats can show it."""
    return abs(value / step - round(value / step)) < 1e-6
