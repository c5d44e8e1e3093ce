"""
How well predictions of the validation clips agree with the judges.

The rule: figures are in points of the announced score, whatever is predicted. Those of the
network's first output come first: by the video alone where that is the final score. Those of a
second output, the execution, are under `with_difficulty`: they use the declared difficulty.

Shapes: n validation clips, O outputs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.data.clip_dataset import ClipDataset
from training.metrics import mean_distance, spearman

Figures = dict[str, Any]

WITH_DIFFICULTY = "with_difficulty"


def agreement(predicted: NDArray[Any], dataset: ClipDataset) -> Figures:
    """Spearman, distance, and its share of that of always the training mean: (n, O) -> figures.

    `predicted` are the outputs for the dataset's validation clips.
    """
    judged = dataset.judged[dataset.validation]
    always_mean = mean_distance(np.full(len(judged), dataset.mean), judged)

    def figures(scores: NDArray[Any]) -> Figures:
        distance = mean_distance(scores, judged)
        share = {"distance_share": distance / always_mean} if always_mean > 0 else {}
        return {"spearman": spearman(scores, judged), "mean_distance": distance} | share

    return by_output([figures(scores) for scores in announced(predicted, dataset).T])


def announced(predicted: NDArray[Any], dataset: ClipDataset) -> NDArray[Any]:
    """The scores that (n, O) outputs announce for the validation clips: (n, O) points."""
    return dataset.announced.score(predicted, dataset.validation)


def by_output(each: Sequence[Figures]) -> Figures:
    """Those of the first output, and below their own name those of a second one."""
    return each[0] | ({WITH_DIFFICULTY: each[1]} if len(each) > 1 else {})


def outputs_of(figures: Figures) -> list[Figures]:
    """What `by_output` put together."""
    return [figures, figures[WITH_DIFFICULTY]] if WITH_DIFFICULTY in figures else [figures]


def flat(figures: Figures) -> dict[str, float]:
    """Without the block: `with_difficulty_spearman` and so on stand beside the others."""
    first = {name: value for name, value in figures.items() if name != WITH_DIFFICULTY}
    second = figures.get(WITH_DIFFICULTY, {})
    return first | {f"{WITH_DIFFICULTY}_{name}": value for name, value in second.items()}


def surely_better(
    predicted: NDArray[Any], before: NDArray[Any], judged: NDArray[Any], *, in_points: bool
) -> bool:
    """Whether errors have become smaller by more than their standard error, paired by clip.

    Predictions are (n, O) points as announced, judged are (n,); the error of a clip is the mean
    over the outputs. Of scores that are only to rank, the errors are those of the clips' ranks.
    [Breiman84 §3.4.3]

    [Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
    """
    if not in_points:
        predicted, before, judged = (rankdata(one, axis=0) for one in (predicted, before, judged))
    after, earlier = (np.abs(one - judged[:, None]).mean(axis=1) for one in (predicted, before))
    gained = earlier - after
    return bool(gained.mean() > gained.std(ddof=1) / np.sqrt(len(gained)))


def quality(figures: Figures, *, in_points: bool) -> float:
    """One number to compare weights by, the mean over the outputs.

    Scores that are only to rank are in no unit.
    """
    shares = [each.get("distance_share", 0.0) if in_points else 0.0 for each in outputs_of(figures)]
    ranked = [each["spearman"] for each in outputs_of(figures)]
    return float(np.mean(ranked) - np.mean(shares))


def in_words(figures: Figures) -> str:
    if not figures:
        return "no clips to validate on"
    return "; with the difficulty ".join(
        f"Spearman {each['spearman']:.4f}, mean distance {each['mean_distance']:.3f} points"
        for each in outputs_of(figures)
    )
