"""
From the runs of a cross-validation to what their data set is worth: figures and intervals.

Shapes: N clips, all those that were held out once: whatever the base was trained on never is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.confidence import OutOfFold, distances
from training.examination import Examined
from training.material import Material
from training.metrics import mean_distance, spearman


def held_out(parts: Sequence[tuple[Material, Examined]]) -> OutOfFold:
    """One material, with its own split, and what its run made of all clips, for each fold."""
    scores, judged, away, fold = [], [], [], []
    for number, (material, examined) in enumerate(parts):
        held = material.validation
        scores.append(examined.predicted[held])
        judged.append(material.judged[held])
        away.append(distances(examined.pooled[material.training], examined.pooled[held]))
        fold.append(np.full(len(held), number))
    return OutOfFold(*map(np.concatenate, (scores, judged, away, fold)))


def figures(held: OutOfFold, width: float, coverage: float) -> dict[str, Any]:
    """Over all clips, each predicted by a run that had not seen it; beside always the mean."""
    folds = range(int(held.fold.max()) + 1)
    mean = np.empty_like(held.judged)
    for fold in folds:
        mean[held.fold == fold] = held.judged[held.fold != fold].mean()
    by_fold = [spearman(held.scores[held.fold == f], held.judged[held.fold == f]) for f in folds]
    distance, always_mean = (mean_distance(some, held.judged) for some in (held.scores, mean))
    return {
        "clips": len(held.judged),
        "folds": len(folds),
        "spearman": spearman(held.scores, held.judged),
        "spearman_by_fold": by_fold,
        "mean_distance": distance,
        "distance_share": distance / always_mean if always_mean else None,
        "coverage": coverage,
        "interval_width": width,
    }
