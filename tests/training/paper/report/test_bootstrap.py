"""Intervals against what the normal approximation says where it holds."""

import numpy as np
import pytest

from training.metrics import mean_distance, spearman
from training.paper.report.bootstrap import estimate


def test_the_interval_of_a_mean_is_what_its_standard_error_says() -> None:
    random = np.random.default_rng(0)
    judged = random.normal(70, 10, 400)
    predicted = judged + random.normal(0, 5, 400)
    found = estimate(mean_distance, predicted[None], judged)
    distance = np.abs(predicted - judged)
    error = distance.std(ddof=1) / np.sqrt(400)
    assert found.value == pytest.approx(distance.mean())
    assert found.low == pytest.approx(distance.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(distance.mean() + 1.96 * error, abs=0.2 * error)


@pytest.mark.usefixtures("few_resamples")
def test_several_runs_count_by_their_mean() -> None:
    judged = np.arange(12.0)
    runs = np.stack([judged, judged[::-1]])
    assert estimate(spearman, runs, judged).value == pytest.approx(0)
    assert estimate(spearman, runs[:1], judged).value == pytest.approx(1)
    assert estimate(mean_distance, runs, judged).value == pytest.approx(
        np.abs(judged - judged[::-1]).mean() / 2
    )


@pytest.mark.usefixtures("few_resamples")
def test_the_same_clips_give_the_same_interval() -> None:
    judged = np.arange(20.0)
    predicted = np.random.default_rng(1).permutation(judged)[None]
    assert estimate(spearman, predicted, judged) == estimate(spearman, predicted, judged)
