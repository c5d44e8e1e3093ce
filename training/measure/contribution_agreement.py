"""
Whether contributions agree with the true deductions, which only a simulator knows.

In a single clip, a stage's contribution is the sum of its fragments' contributions, each counted
with the share of its frames that lie in the stage. Between the two clips of a pair nothing but one
stage differs: what any fragment that overlaps it gained or lost is counted in full.

Shapes: N clips, K fragments, S stages.
"""

from collections.abc import Sequence

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


def localised(change: Floats, shares: Floats, stage: int) -> bool:
    """Whether the largest change of contribution (K,) is in a fragment that overlaps the stage."""
    return bool(shares[np.argmax(np.abs(change)), stage] > 0)


def pair_measures(
    *,
    clean: Floats,
    faulty: Floats,
    clean_score: Floats,
    faulty_score: Floats,
    shares: Floats,
    stage: NDArray[np.int64],
    kind: Sequence[str],
    cost: Floats,
) -> dict[str, float | dict[str, float]]:
    """What counterfactual pairs show.

    `clean` and `faulty` (N, K) are contributions and the scores (N,) of the two clips of a pair,
    alike but for one fault of `kind` in `stage` that costs `cost` points; `shares` (N, K, S).
    """
    change = faulty - clean  # (N, K)
    pairs = range(len(change))
    # Only that stage's frames differ, so what its fragments lost they lost there: all of it counts.
    lost = np.array([-change[n, shares[n, :, stage[n]] > 0].sum() for n in pairs])
    lower = faulty_score < clean_score
    kinds = np.array(kind)
    by_kind = {str(k): float(np.mean(lower[kinds == k])) for k in sorted(set(kind))}
    return {
        "pairs": len(change),
        "pairs_localised": float(
            np.mean([localised(change[n], shares[n], stage[n]) for n in pairs])
        ),
        "pairs_agreement": spearman(cost, lost),
        "pairs_ordered": float(np.mean(list(by_kind.values()))),
        "pairs_ordered_worst": min(by_kind.values()),
        "pairs_ordered_by_kind": by_kind,
    }
