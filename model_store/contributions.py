"""
How many points each fragment contributed: Shapley values over the fragments.   [Shapley53]

    φ_i = Σ_{S ⊆ N∖{i}} |S|! (K−|S|−1)! / K! · ( v(S ∪ {i}) − v(S) )

v(S) is the score when only the fragments in S are shown and the others are blank, so [Li18 Fig. 2]
is v({i}). With more than EXACT_LIMIT fragments the sum is estimated from random orders in which
the fragments appear, each with its reverse [Mitchell22], and its standard error is reported.

The rules: baseline + Σ φ_i = score, and a fragment that is blank or that the network does not use
gets exactly 0. Everything is float64. Where a network has several outputs each has contributions
of its own, from the same table of coalitions.

Shapes: B clips, M coalitions, K fragments.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
[Mitchell22] R. Mitchell et al. Sampling Permutations for Shapley Value Estimation. JMLR 2022.
[Shapley53] L. S. Shapley. A Value for n-Person Games. 1953.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

Masks = NDArray[np.bool_]
Indices = NDArray[np.intp]
Points = NDArray[np.float64]

EXACT_LIMIT = 10  # fragments: 1,024 coalitions
PAIRS = 64  # random orders with their reverses, beyond that


@dataclass(frozen=True, slots=True)
class Orders:
    """Random orders in which fragments appear, each followed by its reverse."""

    fragment: Indices
    """(orders, K): who appears."""
    coalition: Indices
    """(orders, K + 1): the row of the coalition after 0…K have appeared."""


@dataclass(frozen=True, slots=True)
class Coalitions:
    """The coalitions whose scores are needed for the contributions."""

    shown: Masks
    """(M, K), all different, the empty one first."""
    alone: Indices
    """(K,): the rows of {i}."""
    without: Indices
    """(K,): the rows of N∖{i}."""
    full: int
    """The row of N."""
    orders: Orders | None
    """None where all 2^K coalitions are there, in the order of their bit masks."""

    @classmethod
    def of(cls, fragments: int) -> "Coalitions":
        """All of them for up to EXACT_LIMIT fragments, else a sample."""
        return cls.all(fragments) if fragments <= EXACT_LIMIT else cls.sampled(fragments)

    @classmethod
    def all(cls, fragments: int) -> "Coalitions":
        full = 2**fragments - 1
        bit = 1 << np.arange(fragments)
        shown = (np.arange(full + 1)[:, None] & bit) != 0
        return cls(shown, bit, full - bit, full, None)

    @classmethod
    def sampled(cls, fragments: int, *, pairs: int = PAIRS, seed: int = 0) -> "Coalitions":
        """Those that the orders pass through, and those of `alone` and `without`."""
        generator = np.random.default_rng(seed)
        drawn = np.array([generator.permutation(fragments) for _ in range(pairs)])
        order = np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, fragments)
        rank = np.argsort(order, axis=1)  # (orders, K): when a fragment appears
        passed = rank[:, None, :] < np.arange(fragments + 1)[:, None]  # (orders, K + 1, K)
        single = np.eye(fragments, dtype=bool)
        wanted = np.concatenate([passed.reshape(-1, fragments), single, ~single])
        shown, row = np.unique(wanted, axis=0, return_inverse=True)
        path, alone, without = np.split(
            row.reshape(-1), np.cumsum([passed[..., 0].size, fragments])
        )
        orders = Orders(order, path.reshape(passed.shape[:2]))
        return cls(shown, alone, without, len(shown) - 1, orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """What one output of the network answers for a batch, in points."""

    score: Points
    """(B,)"""
    baseline: float
    """The score of a clip of which nothing is shown."""
    contribution: Points
    """(B, K), one for every fragment of the clip, used or not."""
    alone: Points
    """(B, K): the score when this fragment alone is shown.   [Li18 Fig. 2]"""
    without: Points
    """(B, K): the score when all but this fragment are shown."""
    standard_error: Points | None
    """(B, K) of the contributions where they are estimates; None where they are exact."""

    @classmethod
    def of(
        cls,
        values: NDArray[np.floating],
        coalitions: Coalitions,
        *,
        baseline: float,
        blank: Masks,
        used: tuple[int, ...],
    ) -> "Contributions":
        """From the scores of the coalitions (B, M), whose players are the fragments `used`.

        `blank` (B, K) marks the fragments that are black; they do not take part. `baseline` is the
        score of the empty coalition, a constant of the checkpoint.
        """
        points = values.astype(np.float64)
        points[:, 0] = baseline
        points = without_blank(points, coalitions, blank[:, used])
        score = points[:, coalitions.full]
        if coalitions.orders is None:
            estimate, error = shapley(points), None
        else:
            estimate, error = sampled_shapley(points, coalitions.orders)

        def of_clip(of_used: Points, of_others: Points | float) -> Points:
            result = np.empty(blank.shape)
            result[:] = of_others
            result[:, used] = of_used
            return result

        return cls(
            score=score,
            baseline=baseline,
            contribution=of_clip(estimate, 0.0),
            alone=of_clip(points[:, coalitions.alone], baseline),
            without=of_clip(points[:, coalitions.without], score[:, None]),
            standard_error=None if error is None else of_clip(error, 0.0),
        )


def shapley(values: NDArray[np.floating]) -> Points:
    """Scores of all coalitions (B, 2^K), bit i of the index for fragment i shown, -> (B, K)."""
    fragments = values.shape[1].bit_length() - 1
    if values.shape[1] != 2**fragments:
        raise ValueError(f"{values.shape[1]} coalitions, need a power of two")
    everyone = np.arange(2**fragments)
    size = np.bitwise_count(everyone)
    share = np.array(
        [factorial(s) * factorial(fragments - s - 1) for s in range(fragments)], dtype=np.float64
    ) / factorial(fragments)  # by |S|
    points = values.astype(np.float64)
    result = np.empty((len(values), fragments))
    for i in range(fragments):
        rest = everyone[everyone & (1 << i) == 0]
        result[:, i] = (points[:, rest | (1 << i)] - points[:, rest]) @ share[size[rest]]
    return result


def sampled_shapley(values: NDArray[np.floating], orders: Orders) -> tuple[Points, Points]:
    """Scores of the coalitions (B, M) -> estimates and their standard errors, (B, K) each."""
    steps = np.diff(values.astype(np.float64)[:, orders.coalition], axis=2)  # (B, orders, K)
    gains = np.empty_like(steps)
    np.put_along_axis(gains, np.broadcast_to(orders.fragment, steps.shape), steps, axis=2)
    pairs = (gains[:, ::2] + gains[:, 1::2]) / 2  # (B, pairs, K), independent of one another
    return pairs.mean(axis=1), pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1])


def without_blank(values: Points, coalitions: Coalitions, blank: Masks) -> Points:
    """Coalitions that differ by blank fragments alone get one score: (B, M), (B, K) -> (B, M)."""
    result = values.copy()
    for clip in np.flatnonzero(blank.any(axis=1)):
        _, first, same = np.unique(
            coalitions.shown & ~blank[clip], axis=0, return_index=True, return_inverse=True
        )
        result[clip] = values[clip, first[same.reshape(-1)]]
    return result
