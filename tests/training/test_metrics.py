"""Measures against scipy, and what they say of odd input."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from training.metrics import mean_correlation, mean_distance, relative_l2, spearman


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


def test_the_average_of_correlations_by_hand() -> None:
    # artanh ρ is half the logarithm of (1 + ρ) / (1 − ρ): here ½ ln 3 and ½ ln 27, mean ½ ln 9.
    assert mean_correlation([0.5, 26 / 28]) == pytest.approx((9 - 1) / (9 + 1))
    assert mean_correlation([0.3]) == pytest.approx(0.3)
    assert mean_correlation([-0.4, 0.4]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("actions", "average"),
    [  # C3D-SVR and C3D-LSTM of Parmar and Morris, JRG of Pan et al.; each line is of one table
        ([0.7902, 0.6824, 0.5209, 0.4006, 0.5937, 0.9120], 0.6937),
        ([0.6047, 0.5636, 0.4593, 0.5029, 0.7912, 0.6927], 0.6165),
        ([0.7630, 0.7358, 0.6006, 0.5405, 0.9013, 0.9254], 0.7849),
    ],
)
def test_the_average_of_correlations_is_the_published_one(
    actions: list[float], average: float
) -> None:
    assert round(mean_correlation(actions), 4) == average


def test_the_average_of_correlations_at_the_ends() -> None:
    assert mean_correlation([1.0, 1.0]) == pytest.approx(1)
    assert mean_correlation([1.0, -1.0]) == 0
    assert 0.99 < mean_correlation([1.0, 0.0]) < 1
    for wrong in ([], [1.1], [float("nan"), 0.5]):
        with pytest.raises(ValueError, match="need at least one, each within"):
            mean_correlation(wrong)
