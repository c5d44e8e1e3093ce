"""
Whether contributions agree with the true deductions, which only a simulator knows.

A stage's contribution is the sum of its fragments' contributions, each counted with the share of
its frames that lie in the stage.

Shapes: N clips, K fragments, S stages.
"""

import numpy as np
from numpy.typing import NDArray

from training.metrics import spearman

Floats = NDArray[np.float64]


def stage_agreement(deductions: Floats, contributions: Floats, shares: Floats) -> dict[int, float]:
    """Per stage: Spearman, over clips, between points deducted and points contributed.

    (N, S), (N, K), (N, K, S) -> stage index to correlation; +1 where a worse stage always
    contributes less. Stages in which nothing is ever deducted are left out.
    """
    contributed = np.einsum("nk,nks->ns", contributions, shares)
    return {
        s: spearman(-deductions[:, s], contributed[:, s])
        for s in range(deductions.shape[1])
        if np.ptp(deductions[:, s]) > 0
    }
