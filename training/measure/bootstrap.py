"""
How far a figure would move with other clips, and with other seeds: percentile bootstrap.

Shapes: N clips, R runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 0

Measure = Callable[[ArrayLike, ArrayLike], float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def estimate(measure: Measure, predicted: Floats, judged: Floats) -> Estimate:
    """Mean of a measure over runs, with its interval: (R, N), (N,) -> Estimate.

    Clips are resampled, the runs are the same in every sample.
    """

    def of(chosen: NDArray[np.int64]) -> Floats:
        return np.array([_mean(measure, predicted[:, chosen], judged[chosen])])

    low, high = interval_over_clips(of, len(judged))
    return Estimate(_mean(measure, predicted, judged), float(low[0]), float(high[0]))


def interval_over_clips(
    of: Callable[[NDArray[np.int64]], Floats], clips: int
) -> tuple[Floats, Floats]:
    """Low and high ends (F,) of the figures (F,) that `of` has for the clips (N,) of a sample."""
    found = bootstrap(
        (np.arange(clips),),
        of,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return np.asarray(found.low), np.asarray(found.high)


def estimate_in_groups(
    measure: Measure, predicted: Floats, judged: Floats, groups: NDArray[np.int64]
) -> Estimate:
    """A measure with its interval: (N,), (N,), (N,) -> Estimate.

    Clips of one group are alike, so whole groups are resampled.
    """
    random = np.random.default_rng(SEED)
    _, group = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    samples = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([members[g] for g in _drawn(random, len(members))])
        samples.append(measure(predicted[chosen], judged[chosen]))
    return _interval(measure(predicted, judged), samples)


@dataclass(frozen=True, slots=True)
class Repeated:
    """What runs that differ in nothing but their seed predict for the same clips."""

    predicted: Floats
    """(R, N) points"""
    seeds: tuple[int, ...]
    """R of them."""

    @property
    def by_seed(self) -> Floats:
        """(R, N) points, in the order of the seeds."""
        ordered: Floats = self.predicted[np.argsort(self.seeds, kind="stable")]
        return ordered


def estimate_over_seeds(measure: Measure, runs: Repeated, judged: Floats) -> Estimate:
    """As `estimate`, but in every sample the runs are drawn with replacement, too."""
    random, predicted = np.random.default_rng(SEED), runs.by_seed
    samples = []
    for _ in range(RESAMPLES):
        clips, rows = _drawn(random, len(judged)), _drawn(random, len(predicted))
        samples.append(_mean(measure, predicted[rows][:, clips], judged[clips]))
    return _interval(_mean(measure, predicted, judged), samples)


def difference(measure: Measure, one: Repeated, other: Repeated, judged: Floats) -> Estimate:
    """Mean of a measure over the runs of `one` minus that of `other`, with its interval.

    Every sample draws clips with replacement, the same for both, and runs: by their seeds, the same
    for both, where both have the same seeds; else for each of them by themselves.
    """
    random, predicted, others = np.random.default_rng(SEED), one.by_seed, other.by_seed
    paired = sorted(one.seeds) == sorted(other.seeds)
    samples = []
    for _ in range(RESAMPLES):
        clips, rows = _drawn(random, len(judged)), _drawn(random, len(predicted))
        more = rows if paired else _drawn(random, len(others))
        samples.append(
            _mean(measure, predicted[rows][:, clips], judged[clips])
            - _mean(measure, others[more][:, clips], judged[clips])
        )
    return _interval(_mean(measure, predicted, judged) - _mean(measure, others, judged), samples)


def _drawn(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """As many as there are, with replacement."""
    return random.integers(count, size=count)


def _mean(measure: Measure, predicted: Floats, judged: Floats) -> float:
    """(R, N), (N,) -> the mean over runs; one that was drawn twice counts twice."""
    return float(np.mean([measure(run, judged) for run in predicted]))


def _interval(value: float, samples: Sequence[float]) -> Estimate:
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high))
