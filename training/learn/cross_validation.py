"""
From the runs of a cross-validation to what their data set is worth: figures and intervals.

Shapes: N clips, all those that were held out once: whatever the base was trained on never is;
O outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.network_spec import Output
from training.data.clip_dataset import ClipDataset
from training.learn.fold_predictions import Floats, FoldPredictions
from training.learn.validation import by_output
from training.measure.calibration import OutOfFold, distances
from training.metrics import mean_distance, spearman


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The clips that were held out, and what was predicted for them."""

    values: OutOfFold
    """Of each output in its unit."""
    scores: Floats
    """(N, O) points, as the outputs announce them."""
    judged: Floats
    """(N,) points, as announced."""
    factor: Floats
    """(N, O) points of the announced score for one of an output's unit."""


def held_out(parts: Sequence[tuple[ClipDataset, FoldPredictions]]) -> HeldOut:
    """One dataset, with its own split, and what its run made of all clips, for each fold."""
    values, scores, judged, factor = [], [], [], []
    for number, (dataset, predictions) in enumerate(parts):
        held, announced = dataset.validation, dataset.announced
        predicted = predictions.predicted[held]
        values.append(
            (
                predicted,
                dataset.values[held],
                distances(predictions.pooled[dataset.training], predictions.pooled[held]),
                np.full(len(held), number),
            )
        )
        scores.append(announced.score(predicted, held))
        judged.append(dataset.judged[held])
        factor.append(announced.factor[held])
    out_of_fold = OutOfFold(*map(np.concatenate, zip(*values, strict=True)))
    return HeldOut(out_of_fold, *map(np.concatenate, (scores, judged, factor)))


def figures(held: HeldOut, trust: Mapping[Output, Mapping[str, float]]) -> dict[str, Any]:
    """As `validation.agreement` has them, over all clips, with their number and the intervals.

    Each clip is predicted by a run that had not seen it; `trust` is what `fit_out_of_fold` says of
    each output.
    """
    folds = [held.values.fold == each for each in np.unique(held.values.fold)]
    intervals = [
        {"coverage": each["coverage"], "interval_width": each["width"]} for each in trust.values()
    ]
    both = zip(held.scores.T, intervals, strict=True)
    each = [_agreement(scores, held.judged, folds) | trusted for scores, trusted in both]
    return {"clips": len(held.judged), "folds": len(folds)} | by_output(each)


def _agreement(scores: Floats, judged: Floats, folds: Sequence[Any]) -> dict[str, Any]:
    """Beside always the mean of the other folds; (N,), (N,) and (N,) bool for each fold."""
    mean = np.empty_like(judged)
    for out in folds:
        mean[out] = judged[~out].mean()
    distance, always_mean = (mean_distance(some, judged) for some in (scores, mean))
    return {
        "spearman": spearman(scores, judged),
        "spearman_by_fold": [spearman(scores[out], judged[out]) for out in folds],
        "mean_distance": distance,
        "distance_share": distance / always_mean if always_mean else None,
    }
