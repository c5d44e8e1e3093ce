"""
How sure an order is: the probability that the judges put two routines the way their scores do.

Each score comes with an interval that holds the judged score for a share `coverage` of clips. Read
as a normal distribution of the residual, its half width is z · σ, z the normal quantile of that
coverage; two residuals are taken as independent, so the judged difference is normal about the
predicted one with variance σ₁² + σ₂²:

    P(judged first > judged second) = Φ((s₁ − s₂) / √(σ₁² + σ₂²))

`tests/model_store/judging/test_order.py` holds this against counted pairs.
"""

import math
from statistics import NormalDist

from model_store.judging.interval import Interval

_NORMAL = NormalDist()


def deviation(interval: Interval) -> float:
    """σ of the residual, points."""
    return (interval.high - interval.low) / 2 / _NORMAL.inv_cdf((1 + interval.coverage) / 2)


def order_probability(difference: float, first: Interval, second: Interval) -> float:
    """That the judges place the first higher, 0…1; `difference` is its score − the other's."""
    return _NORMAL.cdf(difference / math.hypot(deviation(first), deviation(second)))
