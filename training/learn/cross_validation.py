"""
From the runs of a cross-validation to figures and intervals.

Shapes: N clips, all those that were held out once, which clips that trained the base never are;
O outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.network_spec import Output
from training.data.clip_dataset import ClipDataset
from training.learn.run_folder import Arrays
from training.learn.validation import by_output
from training.measure.calibration import OutOfFold, distances
from training.metrics import mean_distance, spearman

Floats = NDArray[np.float32]


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


def held_out(parts: Sequence[tuple[ClipDataset, Arrays]]) -> HeldOut:
    """For each fold the dataset with its split, and its run's predictions for all clips."""
    values, scores, judged, factor = [], [], [], []
    for number, (dataset, predictions) in enumerate(parts):
        held, announced = dataset.validation, dataset.announced
        pooled = predictions["pooled"]
        predicted = predictions["predicted"][held]
        values.append(
            (
                predicted,
                dataset.values[held],
                distances(pooled[dataset.training], pooled[held]),
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

    Each clip is predicted by a run that had not seen it; `trust` are the figures of
    `fit_out_of_fold` for each output.
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
