"""
From the runs of a cross-validation to what their data set is worth: figures and intervals.

Shapes: N clips, all those that were held out once: whatever the base was trained on never is;
O outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_store.network_spec import Output
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


def figures(held: OutOfFold, trust: Mapping[Output, Mapping[str, float]]) -> dict[str, Any]:
    """Of the network's first output, and under its name those of a second one.

    `trust` is what `fit_out_of_fold` says of each.
    """
    main, *others = (_of_output(held, index, **each) for index, each in enumerate(trust.values()))
    return main | dict(zip([*trust][1:], others, strict=True))


def _of_output(held: OutOfFold, output: int, width: float, coverage: float) -> dict[str, Any]:
    """Over all clips, each predicted by a run that had not seen it; beside always the mean."""
    known = ~np.isnan(held.judged[:, output])
    scores, judged = held.scores[known, output], held.judged[known, output]
    fold = held.fold[known]
    folds = [fold == each for each in np.unique(fold)]
    mean = np.empty_like(judged)
    for out in folds:
        mean[out] = judged[~out].mean()
    distance, always_mean = (mean_distance(some, judged) for some in (scores, mean))
    return {
        "clips": len(judged),
        "folds": len(folds),
        "spearman": spearman(scores, judged),
        "spearman_by_fold": [spearman(scores[out], judged[out]) for out in folds],
        "mean_distance": distance,
        "distance_share": distance / always_mean if always_mean else None,
        "coverage": coverage,
        "interval_width": width,
    }
