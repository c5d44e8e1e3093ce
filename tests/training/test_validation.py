"""When weights count as better than what they began with."""

import numpy as np
import pytest

from training.validation import surely_better

RANDOM = np.random.default_rng(0)
JUDGED = RANDOM.normal(70, 10, 200)
CLOSE, FAR = (JUDGED + RANDOM.normal(0, noise, 200) for noise in (2.0, 6.0))


@pytest.mark.parametrize("in_points", [True, False])
def test_smaller_errors_are_better_and_like_ones_are_not(in_points):
    assert surely_better(CLOSE, FAR, JUDGED, in_points=in_points)
    assert not surely_better(FAR, CLOSE, JUDGED, in_points=in_points)
    assert not surely_better(CLOSE, CLOSE, JUDGED, in_points=in_points)


def test_scores_that_are_only_to_rank_are_in_no_unit():
    assert surely_better(100 * CLOSE, FAR, JUDGED, in_points=False)
    assert not surely_better(100 * CLOSE, FAR, JUDGED, in_points=True)


def test_a_dozen_clips_rarely_take_chance_for_better():
    """Noise of one size twice: on a dozen clips the better half of the draws is not kept."""
    taken = 0
    for _ in range(400):
        judged = RANDOM.normal(70, 10, 12)
        one, two = (judged + RANDOM.normal(0, 5, 12) for _ in range(2))
        taken += surely_better(one, two, judged, in_points=True)
    assert 0.1 < taken / 400 < 0.22  # a standard error is passed by chance in 16 %
