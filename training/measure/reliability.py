"""
Whether a checkpoint can be trusted: its intervals, its familiarity measure, its contributions.

Intervals and familiarity can be measured on any judged clips. What a stage truly cost, and pairs
that differ in one fault, only a simulator knows.

Shapes: N clips, K fragments, S stages.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from model_store.clip import load_clip
from model_store.errors import ClipError
from model_store.judging.difficulty import factor_and_term
from model_store.judging.order import order_probability
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.data.file_times import FileTimes
from training.data.pairs import leaders
from training.data.stages import has_stages, stage_shares, stages_of_frames
from training.errors import DataError
from training.measure.contribution_agreement import stage_agreement
from training.measure.evaluate import Evaluation, agreement
from training.measure.pair_measures import Pairs, pair_measures
from training.metrics import spearman

Figures = dict[str, Any]
Floats = NDArray[np.float64]

FEWEST_FOR_RIDGE = 20
SURE = 0.9  # probability of an order
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RIDGE = np.logspace(0, 8, 17)
DECLARED = (  # figures that a declared difficulty changes
    "spearman",
    "mean_distance",
    "distance_share",
    "relative_l2",
    "coverage",
    "width",
    "width_share",
    "stage_agreement",
)


def confidence_figures(evaluation: Evaluation) -> Figures:
    """Coverage and width of the intervals, and own clips flagged; {} if not calibrated."""
    trusts = [score.trust for score in evaluation.scores if score.trust is not None]
    if len(trusts) < len(evaluation.scores):
        return {}
    low, high = np.array([(t.interval.low, t.interval.high) for t in trusts]).T
    judged = evaluation.judged
    coverage = trusts[0].interval.coverage
    mean = evaluation.scorer.checkpoint.card.data.judged_mean
    mean_width = 2 * float(np.quantile(np.abs(judged - mean), coverage))
    return {
        "coverage": float(np.mean((low <= judged) & (judged <= high))),
        "width": float(np.mean(high - low)),
        "width_share": float(np.mean(high - low)) / mean_width,
        "own_flagged": float(np.mean([t.unfamiliar for t in trusts])),
    }


def order_figures(evaluation: Evaluation) -> Figures:
    """Whether `order_probability` is right, over all pairs of clips that were judged differently.

    Its mean probability that the order of two scores is right, the share of pairs in that order,
    and the same share of the pairs of which it is sure. {} if not calibrated.
    """
    scores, judged = evaluation.scores, evaluation.judged
    probabilities, right = [], []
    for i, j in itertools.combinations(range(len(scores)), 2):
        first, second = scores[i], scores[j]
        if first.trust is None or second.trust is None:
            return {}
        if judged[i] == judged[j]:
            continue
        difference = first.score - second.score
        probability = order_probability(difference, first.trust.interval, second.trust.interval)
        probabilities.append(max(probability, 1 - probability))
        right.append((difference > 0) == (judged[i] > judged[j]))
    if not probabilities:
        return {}
    sure = [is_right for is_right, p in zip(right, probabilities, strict=True) if p >= SURE]
    return {
        "order": {
            "said": float(np.mean(probabilities)),
            "right": float(np.mean(right)),
            "sure_share": len(sure) / len(probabilities),
            "right_where_sure": float(np.mean(sure)) if sure else None,
        }
    }


def foreign_files(folder: Path) -> list[Path]:
    """Raises DataError for a folder without files."""
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if not paths:
        raise DataError(f"{folder} has no files")
    return paths


def flagged_share(scorer: Scorer, folder: Path) -> float:
    """Share of the videos in a folder that are unfamiliar, or refused: they must not be judged.

    Raises DataError for a folder without files, or a checkpoint that was not calibrated.
    """
    paths = foreign_files(folder)
    if scorer.checkpoint.confidence is None:
        raise DataError("the checkpoint is not calibrated, it cannot flag foreign videos")
    flagged = 0
    for path in paths:
        try:
            [score] = scorer.score([load_clip(path, scorer.spec)])
        except ClipError:
            flagged += 1
        else:
            flagged += bool(score.trust and score.trust.unfamiliar)
    return flagged / len(paths)


def shortcut_figures(evaluation: Evaluation) -> Figures:
    """What can be had without watching: from mean thumbnails, and from the last fragment alone.

    Spearman of a ridge regression on the clips' mean 8×8 thumbnails, each fifth of the clips
    predicted from the others, and of the score with nothing but the last fragment shown.
    """
    judged = evaluation.judged
    if len(judged) < FEWEST_FOR_RIDGE:
        return {}
    ridge = cross_val_predict(RidgeCV(RIDGE), evaluation.thumbnails, judged, cv=5)
    alone = [score.alone[-1] for score in evaluation.scores]
    return {
        "shortcuts": {
            "thumbnails": spearman(ridge, judged),
            "last_fragment": spearman(alone, judged),
        }
    }


def stage_figures(evaluation: Evaluation) -> Figures:
    """Whether worse stages contribute less; {} where deductions by stage are not known."""
    spec, clips = evaluation.scorer.spec, evaluation.clips
    if not all(knows_stages(clip, spec) for clip in clips):
        return {}
    deductions = np.array([[clip.deductions[stage] for stage in spec.stages] for clip in clips])
    shares = all_shares(spec, clips, evaluation.times)
    by_stage = stage_agreement(deductions, contributions(evaluation), shares)
    return {
        "stage_agreement": float(np.mean(list(by_stage.values()))),
        "stage_agreement_by_stage": {spec.stages[s]: value for s, value in by_stage.items()},
    }


def fragment_figures(evaluation: Evaluation) -> Figures:
    """Scores and contributions by fragment, and every clip's score, for the card's pictures.

    By fragment: Spearman of the score with it alone shown [Li18 Fig. 2], and quantiles (5, 25, 50,
    75, 95 %) of its contribution, points.
    """
    judged, scores = evaluation.judged, evaluation.scores
    alone = np.array([score.alone for score in scores])  # (N, K)
    spread = np.quantile(contributions(evaluation), QUANTILES, axis=0).T  # (K, 5)
    return {
        "by_fragment": {
            "stage": evaluation.scorer.checkpoint.card.stage_of_fragment,
            "alone_spearman": [spearman(column, judged) for column in alone.T],
            "contribution_quantiles": spread.round(4).tolist(),
        },
        "scores": {
            "judged": judged.round(3).tolist(),
            "predicted": evaluation.predicted.round(3).tolist(),
        },
    }


def difficulty_figures(evaluation: Evaluation) -> Figures:
    """What the same clips' scores are worth once the declared difficulties are known.

    {} where a difficulty is missing, or the network does not predict the execution. Stands beside
    the figures from video only, and beside those of the difficulty alone.
    """
    declared = evaluation.with_difficulty
    if declared is None:
        return {}
    mean = declared.scorer.checkpoint.card.data.judged_mean
    figures = agreement(declared.predicted, declared.clips, mean)
    figures |= confidence_figures(declared) | stage_figures(declared)
    return {"with_difficulty": {name: figures[name] for name in DECLARED if name in figures}}


def pair_figures(evaluation: Evaluation) -> Figures:
    """What counterfactual pairs show; clips as `simulate --pairs` writes them."""
    spec, clips = evaluation.scorer.spec, evaluation.clips
    clean_of = leaders(clips)
    faulty = [n for n, clean in enumerate(clean_of.tolist()) if clean != n]
    clean, wrong = clean_of[faulty], [clips[n] for n in faulty]
    stages = [clip.columns["stage"] for clip in wrong]
    cost = [
        clip.deductions[stage] - clips[c].deductions[stage]
        for clip, c, stage in zip(wrong, clean.tolist(), stages, strict=True)
    ]
    each, predicted = contributions(evaluation), evaluation.predicted
    declared = [declared_difficulty(clip) for clip in wrong]
    return pair_measures(
        Pairs(
            ladder=clean,
            kind=np.array([clip.columns["fault"] for clip in wrong]),
            stage=np.array([spec.stages.index(stage) for stage in stages]),
            cost=np.array(cost),
            unit=np.array([factor_and_term(d, spec.difficulty_rule)[0] for d in declared]),
            change=each[faulty] - each[clean],
            shares=all_shares(spec, wrong, [evaluation.times[n] for n in faulty]),
            lower=predicted[faulty] < predicted[clean],
        )
    )


def declared_difficulty(clip: JudgedClip) -> float:
    """Raises DataError where it is not known."""
    if clip.difficulty is None:
        raise DataError(f"{clip.path.name}: need its difficulty")
    return clip.difficulty


def knows_stages(clip: JudgedClip, spec: ClipSpec) -> bool:
    return has_stages(clip, spec) and clip.deductions.keys() == set(spec.stages)


def contributions(evaluation: Evaluation) -> Floats:
    """(N, K), points."""
    return np.array([score.contribution for score in evaluation.scores])


def all_shares(spec: ClipSpec, clips: Sequence[JudgedClip], times: Sequence[FileTimes]) -> Floats:
    """(N, K, S), see `stage_shares`."""
    return np.array(
        [
            stage_shares(spec, stages_of_frames(spec, clip, timed))
            for clip, timed in zip(clips, times, strict=True)
        ]
    )
