"""When weights count as better than what they began with."""

import numpy as np
import pytest

from training.learn.validation import in_words, quality, surely_better

RANDOM = np.random.default_rng(0)
JUDGED = RANDOM.normal(70, 10, 200)
CLOSE, FAR = (JUDGED[:, None] + RANDOM.normal(0, noise, (200, 1)) for noise in (2.0, 6.0))


@pytest.mark.parametrize("in_points", [True, False])
def test_smaller_errors_are_better_and_like_ones_are_not(in_points: bool) -> None:
    assert surely_better(CLOSE, FAR, JUDGED, in_points=in_points)
    assert not surely_better(FAR, CLOSE, JUDGED, in_points=in_points)
    assert not surely_better(CLOSE, CLOSE, JUDGED, in_points=in_points)


def test_scores_that_are_only_to_rank_are_in_no_unit() -> None:
    assert surely_better(100 * CLOSE, FAR, JUDGED, in_points=False)
    assert not surely_better(100 * CLOSE, FAR, JUDGED, in_points=True)


def test_a_dozen_clips_rarely_take_chance_for_better() -> None:
    """Noise of one size twice: on a dozen clips the better half of the draws is not kept."""
    taken = 0
    for _ in range(400):
        judged = RANDOM.normal(70, 10, 12)
        one, two = (judged[:, None] + RANDOM.normal(0, 5, (12, 1)) for _ in range(2))
        taken += surely_better(one, two, judged, in_points=True)
    assert 0.1 < taken / 400 < 0.22  # a standard error is passed by chance in 16 %


@pytest.mark.parametrize("in_points", [True, False])
def test_of_two_outputs_the_mean_error_decides(in_points: bool) -> None:
    far, close = np.hstack([FAR, FAR]), np.hstack([CLOSE, FAR])
    assert surely_better(close, far, JUDGED, in_points=in_points)
    assert not surely_better(
        np.hstack([CLOSE, FAR]), np.hstack([FAR, CLOSE]), JUDGED, in_points=in_points
    )


def test_quality_is_the_mean_over_the_outputs() -> None:
    final = {"spearman": 0.5, "mean_distance": 8.0, "distance_share": 0.8}
    known = {"spearman": 0.7, "mean_distance": 5.0, "distance_share": 0.5}
    both = final | {"with_difficulty": known}
    assert quality(final, in_points=True) == pytest.approx(-0.3)
    assert quality(both, in_points=True) == pytest.approx((-0.3 + 0.2) / 2)
    assert quality(both, in_points=False) == pytest.approx(0.6)
    assert in_words(both) == (
        "Spearman 0.5000, mean distance 8.000 points; with the difficulty Spearman 0.7000, mean"
        " distance 5.000 points"
    )
