"""
A ridge regression whose predictions are right, and steady between the versions of a clip.

    Σ counts · [(prediction − judged)² + steadiness · mean over variants of (change of it)²]
        + Σ over pairs of counts · (predicted difference − judged difference)²
        + GAIN · Σ over kinds of (gain − 1)² · Σ over their pairs of counts · (judged difference)²
        + penalty · ‖weights of the inputs‖²

The prediction is the mean over a clip's views. How a variant changes it penalises the directions in
which clips differ that are the same clip.   [Simard92] The two clips of a pair are alike but for
one fault, see `training.data.pairs`: their difference tells what it costs. The gain of a kind of
fault is the slope of predicted on judged differences. A penalty makes it less than 1, most of all
for what is hardly to be seen, and pairs alone do not mend that: their errors are mostly chance.

Shapes: V variants of N clips, D inputs, Q kinds of faults.

[Simard92] P. Simard, B. Victorri, Y. LeCun, J. Denker. Tangent Prop. NIPS 1991. There changes are
           infinitely small, here they are differences.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

GAIN = 10.0  # what the mean error of a kind counts, beside the errors of its pairs
LEAST_VARYING = 1e-9  # share below which predictions, or differences, are none


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
    kinds: Indices
    """(N,): which kind of fault a difference is of, 0…Q − 1; −1 of clips that have none."""
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
        kinds: Indices,
    ) -> "Equations":
        """From (V, N, D), (V, N) and (V, N).

        The first `views` variants are served. The square of a clip's error counts `counts`, (N,),
        that of a change `steadiness` times as much, and that of its difference to clip `leader`,
        (N,), `differences` times as much, (N,). Differences of a kind, (N,), are right on average.
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
            kinds,
            mean,
            deviation,
        )

    def normal(self, clips: Indices | slice = slice(None)) -> "NormalEquations":
        """Of some of the clips."""
        columns = self.columns[:, clips].reshape(-1, self.columns.shape[-1])
        right = columns.T @ self.wanted[:, clips].ravel()
        difference, judged = self.columns[-1, clips], self.wanted[-1, clips]
        of_kind = np.equal.outer(np.arange(self.kinds.max(initial=-1) + 1), self.kinds[clips])
        by_kind = of_kind * judged  # (Q, N)
        return NormalEquations(
            columns.T @ columns,
            right,
            across=by_kind @ difference,
            squares=by_kind @ judged,
            has_head=self.deviation > 0,
        )

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
    across: Floats
    """(Q, D + 2): products of the judged differences of a kind with the columns."""
    squares: Floats
    """(Q,): sums of their squares. `across @ line / squares` are the gains."""
    has_head: bool

    def without(self, others: "NormalEquations") -> "NormalEquations":
        return NormalEquations(
            self.left - others.left,
            self.right - others.right,
            self.across - others.across,
            self.squares - others.squares,
            self.has_head,
        )

    def with_gains(self) -> "NormalEquations":
        """Those of the gains among them."""
        some = self.squares > LEAST_VARYING * self.squares.max(initial=0)
        across = self.across[some]
        weighted = across.T * (GAIN / self.squares[some])
        return dataclasses.replace(
            self, left=self.left + weighted @ across, right=self.right + GAIN * across.sum(axis=0)
        )

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
