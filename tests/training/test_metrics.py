"""Measures against scipy, and what they say of odd input."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from training.metrics import mean_distance, relative_l2, spearman


@pytest.mark.parametrize("seed", range(6))
def test_spearman_is_scipys_with_and_without_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    judged = random.integers(0, 8, 30) if seed % 2 else random.normal(size=30)
    predicted = np.round(judged + random.normal(size=30), seed % 3)
    expected = scipy.stats.spearmanr(predicted, judged).statistic
    assert spearman(predicted, judged) == pytest.approx(expected, abs=1e-12)


def test_spearman_of_two_clips() -> None:
    assert spearman([1, 2], [10, 20]) == 1
    assert spearman([2, 1], [10, 20]) == -1


def test_a_constant_ranks_nothing() -> None:
    assert spearman([70, 70, 70], [1, 2, 3]) == 0
    assert spearman([1, 2, 3], [70, 70, 70]) == 0


def test_distances_by_hand() -> None:
    assert mean_distance([1, 5], [2, 3]) == 1.5
    assert relative_l2([1, 5, 4], [2, 3, 6]) == pytest.approx((1 + 4 + 4) / 3 / 16)


def test_lists_and_float32_arrays_give_floats() -> None:
    for measure in (spearman, mean_distance, relative_l2):
        assert type(measure(np.array([1, 2], np.float32), [3, 4])) is float


@pytest.mark.parametrize("measure", [spearman, mean_distance, relative_l2])
@pytest.mark.parametrize(
    ("predicted", "judged", "message"),
    [
        ([], [], "0 clips"),
        ([1, 2], [1, 2, 3], "one length"),
        ([[1, 2]], [[1, 2]], "vectors"),
        ([1, float("nan")], [1, 2], "not finite"),
        ([1, 2], [1, float("inf")], "not finite"),
    ],
)
def test_unusable_input_is_refused(
    measure: Callable[..., float],
    predicted: list[float | list[int]],
    judged: list[float | list[int]],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        measure(predicted, judged)


def test_relative_l2_needs_a_range() -> None:
    with pytest.raises(ValueError, match="equal"):
        relative_l2([1, 2], [3, 3])
