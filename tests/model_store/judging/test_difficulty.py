"""Which difficulties there are, and what each leaves of a score."""

import pytest

from model_store.errors import InvalidDifficulty, InvalidPanel
from model_store.judging.difficulty import (
    check_difficulty,
    check_positive,
    execution_of,
    factor_and_term,
)
from model_store.spec import DifficultyRule


def test_difficulties_that_routines_have() -> None:
    for action, difficulty in (("diving", 1.5), ("diving", 4.1), ("vault", 4.6), ("vault", 7.4)):
        check_difficulty(action, difficulty)  # the extremes of the real data
    check_difficulty("rowing", 99.0)  # no tables, no limits


@pytest.mark.parametrize("difficulty", [0.0, -1.0, float("nan"), float("inf")])
def test_a_difficulty_that_no_routine_has(difficulty: float) -> None:
    with pytest.raises(InvalidDifficulty, match="need a finite number above 0"):
        check_positive(difficulty)
    with pytest.raises(InvalidDifficulty):
        check_difficulty("rowing", difficulty)
    with pytest.raises(InvalidPanel, match="need 1 to 5 in tenths for diving") as caught:
        check_difficulty("diving", difficulty)
    assert caught.value.field == "difficulty"


@pytest.mark.parametrize(("rule", "score"), [("multiply", 75.0), ("add", 28.0)])
def test_the_execution_gives_its_score_back(rule: DifficultyRule, score: float) -> None:
    assert execution_of(score, 3.0, rule) == 25.0
    factor, term = factor_and_term(3.0, rule)
    assert factor * 25.0 + term == score
