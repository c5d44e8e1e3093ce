"""
How far a figure would move with other test clips: percentile bootstrap over the clips.

Shapes: N clips, R runs.
"""

from collections.abc import Callable
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

    def of(chosen: NDArray[np.int64]) -> float:
        return float(np.mean([measure(run[chosen], judged[chosen]) for run in predicted]))

    clips = np.arange(len(judged))
    result = bootstrap(
        (clips,),
        of,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return Estimate(
        of(clips), float(result.confidence_interval.low), float(result.confidence_interval.high)
    )
