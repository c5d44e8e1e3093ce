"""
A ridge regression whose predictions are right, and steady between the versions of a clip.

    Σ counts · [(prediction − judged)² + steadiness · mean over variants of (change of it)²]
        + Σ over pairs of counts · (predicted difference − judged difference)²
        + penalty · ‖weights of the inputs‖²

The prediction is the mean over a clip's views. How a variant changes it penalises the directions in
which clips differ that are the same clip.   [Simard92] The two clips of a pair are alike but for
one fault, see `training.data.pairs`: their difference tells what it costs.

Shapes: V variants of N clips, D inputs.

[Simard92] P. Simard, B. Victorri, Y. LeCun, J. Denker. Tangent Prop. NIPS 1991. There changes are
           infinitely small, here they are differences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

LEAST_VARYING = 1e-9  # of the head's predictions, as a share of them: else they are all the same


@dataclass(frozen=True, slots=True)
class Equations:
    """What a line is to solve: for each clip what is served is the judged score, and steadily so.

    The columns are D inputs, a constant and the head's prediction, of mean 0 and deviation 1. The
    first row of a clip is the mean of its views. Each other one is how a variant differs from what
    it varies: a view from the mean of the views, another variant from the view of its number. The
    last row of the faulty clip of a pair is how it differs from the clean one; it is 0 of others.
    """

    columns: Floats
    """(1 + V + 1, N, D + 2), each row times what an error there counts."""
    wanted: Floats
    """(1 + V + 1, N), the same."""
    mean: float
    """Of the head's predictions."""
    deviation: float
    """Of them; 0 where the head always says the same."""

    @classmethod
    def of(
        cls,
        inputs: Floats,
        head: Floats,
        judged: Floats,
        *,
        views: int,
        counts: Floats,
        steadiness: float,
        leader: Indices,
        differences: Floats,
    ) -> "Equations":
        """From (V, N, D), (V, N) and (V, N).

        The first `views` variants are served. The square of a clip's error counts `counts`, (N,),
        that of a change `steadiness` times as much, and that of its difference to clip `leader`,
        (N,), `differences` times as much, (N,).
        """
        served = head[:views].mean(axis=0)
        mean, deviation = float(served.mean()), float(served.std())
        if deviation <= LEAST_VARYING * np.abs(served).max():
            deviation = 0.0
        scaled = (head - mean) / (deviation or np.inf)
        free = np.stack([np.ones_like(scaled), scaled], axis=-1)
        columns = np.concatenate([inputs, free], axis=-1)
        factors = np.array([1.0, *[steadiness / len(head)] * len(head), 0.0])
        squares = np.outer(factors, counts)  # (1 + V + 1, N): what the square of each row counts
        squares[-1] = counts * differences
        weights = np.sqrt(squares)
        return cls(
            _parted(columns, views, leader) * weights[..., None],
            _parted(judged, views, leader) * weights,
            mean,
            deviation,
        )

    def normal(self, clips: Indices | slice = slice(None)) -> "NormalEquations":
        """Of some of the clips."""
        columns = self.columns[:, clips].reshape(-1, self.columns.shape[-1])
        right = columns.T @ self.wanted[:, clips].ravel()
        return NormalEquations(columns.T @ columns, right, has_head=self.deviation > 0)

    def undo(self, constant: float, scale: float) -> tuple[float, float]:
        """Scale and constant for the head's own predictions."""
        scale /= self.deviation or np.inf
        return scale, constant - scale * self.mean


def _parted(values: Floats, views: int, leader: Indices) -> Floats:
    """(V, N, …) -> (1 + V + 1, N, …).

    The mean of the views, how each variant differs, and how the mean differs from the leader's.
    """
    served = values[:views].mean(axis=0)
    varied = [served if v < views else values[v % views] for v in range(len(values))]
    parts: Floats = np.stack([served, *(values - varied), served - served[leader]])
    return parts


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """Of some clips."""

    left: Floats
    """(D + 2, D + 2): products of all columns with all."""
    right: Floats
    """(D + 2,): their products with what is wanted."""
    has_head: bool

    def without(self, others: "NormalEquations") -> "NormalEquations":
        return NormalEquations(self.left - others.left, self.right - others.right, self.has_head)

    def solve(self, penalty: float) -> tuple[Floats, Floats]:
        """Ridge regressions, (D + 2,) each: without the head, and with it.

        The penalty is on the inputs; constant and head go free, so they are solved for first, by
        the Schur complement. A head whose order would be reversed is left out.
        """
        inputs = len(self.right) - 2
        solved = np.zeros((inputs, 3))
        if np.isfinite(penalty):
            kernel = self.left[:inputs, :inputs].copy()
            kernel.flat[:: inputs + 1] += penalty
            right = np.column_stack([self.left[:inputs, inputs:], self.right[:inputs]])
            solved = cho_solve(cho_factor(kernel, overwrite_a=True, check_finite=False), right)
        across = self.left[inputs:, :inputs]  # (2, D)
        rest = self.left[inputs:, inputs:] - across @ solved[:, :2]
        wanted = self.right[inputs:] - across @ solved[:, 2]

        def line(free: int) -> Floats:
            parts = np.zeros(2)
            # The head may say the same of all these clips: then not every part is determined.
            parts[:free], *_ = np.linalg.lstsq(rest[:free, :free], wanted[:free])
            return np.concatenate([solved[:, 2] - solved[:, :2] @ parts, parts])

        without_head = line(1)
        with_head = line(2) if self.has_head else without_head
        return without_head, with_head if with_head[-1] > 0 else without_head
