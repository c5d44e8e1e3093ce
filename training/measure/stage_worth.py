"""
What the contributions of stages are worth to the judges, where nobody knows what a stage cost.

A score is its base and the contributions of the stages. Of clips that the network had not seen,

    judged − base ≈ constant + Σ over stages of worth · contribution   (least squares)

A worth of 1 says: a point that the stage contributes is a point of the judges'. Of 0: it tells
nothing that the other stages do not. Faults that the judges saw together, as a late opening and a
short entry, are told apart only as far as contributions differ between clips.

Shapes: N clips, K fragments, S stages.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measure.bootstrap import interval_over_clips
from training.metrics import spearman

Floats = NDArray[np.float64]

FEWEST_A_STAGE = 8  # clips for each stage, or the slopes mean nothing
LEAST_APART = 1e-6  # singular value of contributions of unit variance


def stage_worth(
    stages: Sequence[str],
    contributions: Floats,
    shares: Floats,
    predicted: Floats,
    judged: Floats,
) -> dict[str, dict[str, Any]]:
    """By stage, from (N, K), (N, K, S), (N,) and (N,), all in points.

    `deviation`: of its contribution, points. `spearman`: of its contribution and the judges' score
    less the base. `worth`, `low` and `high`: with its 95 % interval, clips resampled. A stage that
    never contributes is left out; {} where clips are too few for the others, or
    no clip tells two of them apart.
    """
    by_stage = np.einsum("nk,nks->ns", contributions, shares)
    some = np.flatnonzero(np.ptp(by_stage, axis=0) > 0)
    by_stage, names = by_stage[:, some], [stages[s] for s in some.tolist()]
    if not names or len(judged) < FEWEST_A_STAGE * len(names):
        return {}
    centred = by_stage - by_stage.mean(axis=0)
    if np.linalg.matrix_rank(centred / centred.std(axis=0), tol=LEAST_APART) < len(names):
        return {}
    unstaged = contributions.sum(axis=1) - by_stage.sum(axis=1)  # of padding, taken as it is
    base = predicted - contributions.sum(axis=1)
    wanted = judged - base - unstaged

    def worth(clips: NDArray[np.int64]) -> Floats:
        columns = np.column_stack([by_stage[clips], np.ones(len(clips))])
        found: Floats = np.linalg.lstsq(columns, wanted[clips])[0][:-1]
        return found

    every = np.arange(len(judged))
    slopes = np.column_stack([worth(every), *interval_over_clips(worth, len(judged))])  # (S, 3)
    return {
        stage: {
            "deviation": float(contributed.std()),
            "spearman": spearman(contributed, wanted),
            **dict(zip(("worth", "low", "high"), map(float, slope), strict=True)),
        }
        for stage, contributed, slope in zip(names, by_stage.T, slopes, strict=True)
    }
