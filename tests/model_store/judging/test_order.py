import numpy as np
import pytest

from model_store.judging.interval import Interval
from model_store.judging.order import deviation, order_probability


def around(score: float, half: float) -> Interval:
    return Interval(low=score - half, high=score + half, coverage=0.9)


def test_the_interval_holds_its_share_of_the_normal() -> None:
    sigma = deviation(around(80, 12))
    drawn = np.random.default_rng(0).normal(80, sigma, 200_000)
    assert ((drawn > 68) & (drawn < 92)).mean() == pytest.approx(0.9, abs=0.003)


@pytest.mark.parametrize("residual", ["normal", "uniform"])
def test_against_counted_pairs(residual: str) -> None:
    """Also where residuals are not normal: an interval that holds 0.9 of them gives the odds."""
    rng = np.random.default_rng(1)
    for difference, first, second in ((0.0, 10, 10), (4.0, 10, 6), (12.0, 12, 12), (25.0, 12, 12)):
        halves = np.array([first, second])[:, None]
        if residual == "normal":
            errors = rng.normal(0, halves / 1.6449, (2, 200_000))
        else:
            errors = rng.uniform(-halves / 0.9, halves / 0.9, (2, 200_000))
        counted = (difference + errors[0] - errors[1] > 0).mean()
        probability = order_probability(difference, around(80, first), around(70, second))
        assert probability == pytest.approx(counted, abs=0.004 if residual == "normal" else 0.04)


def test_equal_scores_are_even_and_the_order_is_symmetric() -> None:
    a, b = around(80, 5), around(70, 9)
    assert order_probability(0.0, a, b) == 0.5
    assert order_probability(3.0, a, b) + order_probability(-3.0, b, a) == pytest.approx(1)
