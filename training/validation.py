"""How well predictions of the validation clips agree with the judges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.material import Material
from training.metrics import mean_distance, spearman

Figures = dict[str, Any]


def agreement(predicted: NDArray[Any], material: Material) -> Figures:
    """Spearman, distance, and its share of that of always the training mean: (N,) -> figures.

    `predicted` are points of the material's validation clips.
    """
    judged = material.judged[material.validation]
    distance = mean_distance(predicted, judged)
    always_mean = mean_distance(np.full(len(judged), material.mean), judged)
    figures = {"spearman": spearman(predicted, judged), "mean_distance": distance}
    return figures | ({"distance_share": distance / always_mean} if always_mean > 0 else {})


def surely_better(
    predicted: NDArray[Any], before: NDArray[Any], judged: NDArray[Any], *, in_points: bool
) -> bool:
    """Whether errors have become smaller by more than their standard error, paired by clip; (N,).

    Of scores that are only to rank, the errors are those of the clips' ranks. [Breiman84 §3.4.3]

    [Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
    """
    if not in_points:
        predicted, before, judged = map(rankdata, (predicted, before, judged))
    gained = np.abs(before - judged) - np.abs(predicted - judged)
    return bool(gained.mean() > gained.std(ddof=1) / np.sqrt(len(gained)))


def quality(figures: Figures, *, in_points: bool) -> float:
    """One number to compare weights by; scores that are only to rank are in no unit."""
    share = figures.get("distance_share", 0.0) if in_points else 0.0
    return float(figures["spearman"] - share)


def in_words(figures: Figures) -> str:
    if not figures:
        return "no clips to validate on"
    return (
        f"Spearman {figures['spearman']:.4f}, mean distance {figures['mean_distance']:.3f} points"
    )
