"""Intervals against what the normal approximation says where it holds, and against all samples."""

import itertools

import numpy as np
import pytest

from training.measure.bootstrap import (
    Repeated,
    difference,
    estimate,
    estimate_over_seeds,
)
from training.metrics import mean_distance, spearman


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


JUDGED = np.array([1.0, 2.0, 4.0])
ONE = Repeated(np.array([[1.0, 2.5, 3.0], [2.0, 2.0, 9.0]]), (0, 1))
OTHER = Repeated(np.array([[1.5, 0.0, 4.0], [1.0, 5.0, 5.0]]), (0, 1))


def distance(runs: Repeated, rows: tuple[int, ...], clips: tuple[int, ...]) -> float:
    return float(np.mean([abs(runs.predicted[r, n] - JUDGED[n]) for r in rows for n in clips]))


def draws(count: int) -> list[tuple[int, ...]]:
    """All samples with replacement, each as likely as the others."""
    return list(itertools.product(range(count), repeat=count))


@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_is_that_of_all_samples_of_clips_and_seeds(
    paired: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.measure.bootstrap.RESAMPLES", 20000)
    other = OTHER if paired else Repeated(OTHER.predicted, (2, 3))
    found = difference(mean_distance, ONE, other, JUDGED)
    every = [
        distance(ONE, rows, clips) - distance(other, more, clips)
        for clips in draws(3)
        for rows in draws(2)
        for more in ([rows] if paired else draws(2))
    ]
    assert found.value == pytest.approx(
        distance(ONE, (0, 1), (0, 1, 2)) - distance(other, (0, 1), (0, 1, 2))
    )
    for limit, quantile in ((found.low, 0.025), (found.high, 0.975)):
        around = np.quantile(every, [quantile - 0.01, quantile + 0.01])
        assert around[0] <= limit <= around[1]


def test_runs_are_paired_by_their_seeds_in_whatever_order() -> None:
    turned = Repeated(ONE.predicted[::-1], (1, 0))
    found = difference(mean_distance, ONE, turned, JUDGED)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_seeds_widen_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.measure.bootstrap.RESAMPLES", 20000)
    found = estimate_over_seeds(mean_distance, ONE, JUDGED)
    every = [distance(ONE, rows, clips) for clips in draws(3) for rows in draws(2)]
    assert found.value == pytest.approx(distance(ONE, (0, 1), (0, 1, 2)))
    assert found.low == pytest.approx(np.quantile(every, 0.025), abs=0.1)
    assert found.high == pytest.approx(np.quantile(every, 0.975), abs=0.1)
    fixed = estimate(mean_distance, ONE.predicted, JUDGED)
    assert found.high - found.low > fixed.high - fixed.low
