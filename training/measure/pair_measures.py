"""
What counterfactual pairs show: whether contributions lose what a fault truly costs.

The two clips of a pair are alike but for one fault in one stage, see `simulate --pairs`. What any
fragment that overlaps the stage lost it lost there, so all of it counts.

Several pairs are of one ladder: the same clean clip, and one fault at several severities.

Shapes: N pairs, K fragments, S stages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measure.bootstrap import estimate_in_groups
from training.metrics import spearman

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    ladder: NDArray[np.int64]
    """(N,): pairs of one number have the same clean clip."""
    kind: NDArray[np.str_]
    """(N,) of the fault."""
    stage: NDArray[np.int64]
    """(N,), 0…S − 1: where the fault is."""
    cost: Floats
    """(N,) points that the fault truly costs."""
    unit: Floats
    """(N,) points that an equally grave fault costs: what depends on the routine, not the fault."""
    change: Floats
    """(N, K): the contribution of each fragment in the faulty clip minus that in the clean one."""
    shares: Floats
    """(N, K, S): share of a fragment's frames in each stage."""
    lower: NDArray[np.bool_]
    """(N,): whether the faulty clip was scored below the clean one."""

    @property
    def overlapping(self) -> NDArray[np.bool_]:
        """(N, K): the fragments that show something of the stage."""
        return self.shares[np.arange(len(self.stage)), :, self.stage] > 0

    @property
    def lost(self) -> Floats:
        """(N,) points that the stage lost."""
        lost: Floats = -(self.change * self.overlapping).sum(axis=1)
        return lost

    @property
    def localised(self) -> NDArray[np.bool_]:
        """(N,): whether the largest change is in a fragment that overlaps the stage."""
        largest = np.abs(self.change).argmax(axis=1)
        localised: NDArray[np.bool_] = self.overlapping[np.arange(len(largest)), largest]
        return localised

    @property
    def guess(self) -> Floats:
        """(N,) points: what knows the kind of a fault and the routine says of its cost.

        The mean of the other ladders' faults of that kind.
        """
        relative = self.cost / self.unit
        guess = np.empty_like(relative)
        for n, kind in enumerate(self.kind):
            others = (self.kind == kind) & (self.ladder != self.ladder[n])
            guess[n] = relative[others].mean() if others.any() else relative.mean()
        return guess * self.unit


def pair_measures(pairs: Pairs) -> dict[str, Any]:
    """The figures, JSON-ready.

    `pairs_agreement` is Spearman's correlation of cost and loss, with its 95 % interval by
    bootstrap over ladders, and beside it that of a guess by the kind alone. By kind of fault stand
    the same correlation; the gain, the slope of loss on cost through the origin, for which 1 is
    right; and the share of pairs in order.
    """
    cost, lost = pairs.cost, pairs.lost
    agreement = estimate_in_groups(spearman, cost, lost, pairs.ladder)
    by_kind, ordered, gains = {}, [], []
    for kind in np.unique(pairs.kind):
        of_kind = pairs.kind == kind
        true, seen = cost[of_kind], lost[of_kind]
        ordered.append(float(pairs.lower[of_kind].mean()))
        gains.append(float(seen @ true / (true @ true)))
        by_kind[str(kind)] = {
            "pairs": len(true),
            "ordered": ordered[-1],
            "gain": gains[-1],
            "agreement": spearman(true, seen) if len(true) > 1 else None,
        }
    return {
        "pairs": len(cost),
        "pairs_localised": float(pairs.localised.mean()),
        "pairs_agreement": agreement.value,
        "pairs_agreement_interval": [agreement.low, agreement.high],
        "pairs_agreement_by_kind_alone": spearman(cost, pairs.guess),
        "pairs_gain": float(lost @ cost / (cost @ cost)),
        "pairs_gain_least": min(gains),
        "pairs_gain_largest": max(gains),
        "pairs_ordered": float(np.mean(ordered)),
        "pairs_ordered_worst": min(ordered),
        "pairs_by_kind": by_kind,
    }
