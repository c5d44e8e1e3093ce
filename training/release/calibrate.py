"""
Fits a checkpoint's intervals and its familiarity limit, without training it again.

The rule: the clips that calibrate were used for nothing else, neither to train nor to choose.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model_store.card import ClipsCard
from model_store.checkpoint import Checkpoint
from model_store.confidence import Confidence
from model_store.judging.difficulty import execution_of
from model_store.network_spec import Output
from model_store.scorer import Scorer
from model_store.store import Store
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes
from training.data.datasets.leaks import first_few
from training.data.seen_clips import seen_by
from training.data.split import Indices, name_units
from training.errors import DataError, RunError
from training.measure.calibration import COVERAGE, Scored, fit_confidence
from training.measure.evaluate import score_clips
from training.release.publish import republish

SPREAD_SHARE = 0.25  # of the calibration clips, that teach the spread instead
FEWEST = 40

Progress = Callable[[int, int], None]


def fit_calibration(
    scorer: Scorer,
    clips: Sequence[JudgedClip],
    familiar: Sequence[JudgedClip],
    *,
    seed: int = 0,
    coverage: float = COVERAGE,
    allow_seen: bool = False,
    progress: Progress | None = None,
) -> Confidence:
    """Fit the intervals on judged `clips`.

    The familiarity limit is fitted on the `familiar` clips, or without any on a part of `clips`.
    Raises DataError for too few clips; RunError for some that the checkpoint has seen, or that are
    familiar as well, unless that is allowed.
    """
    if len(clips) < FEWEST:
        raise DataError(f"{len(clips)} calibration clips, need at least {FEWEST}")
    if not allow_seen:
        check_unseen(scorer.checkpoint, clips)
    judged = judged_values(scorer, clips)
    known = np.count_nonzero(~np.isnan(judged), axis=0)
    if known.min() < FEWEST:
        raise DataError(
            f"{known.min()} calibration clips have a difficulty, need at least {FEWEST}: without it"
            " their execution, which this checkpoint predicts, is not known"
        )
    evaluation = score_clips(scorer, clips, progress)
    scored = Scored(evaluation.pooled, evaluation.outputs, judged)
    teaching = teaching_clips(clips, seed)
    calibrating = np.setdiff1d(np.arange(len(clips)), teaching)
    pooled = score_clips(scorer, familiar, progress).pooled if familiar else scored.pooled[teaching]
    try:
        return fit_confidence(
            pooled,
            scored.part(teaching),
            scored.part(calibrating),
            outputs=scorer.outputs,
            coverage=coverage,
        )
    except ValueError as error:
        raise DataError(f"intervals: {error}") from error


def check_unseen(checkpoint: Checkpoint, clips: Sequence[JudgedClip]) -> None:
    """Raises RunError for clips that trained the checkpoint, or chose its weights."""
    seen = seen_by(checkpoint, clips)
    for names, what in (
        (seen.roles["training"], f"trained {seen.name}"),
        (seen.roles["validation"], f"chose the weights of {seen.name}"),
    ):
        if names:
            raise RunError(
                f"{len(names)} of {len(clips)} calibration clips {what} ({first_few(names)}):"
                " intervals from them would be too narrow. Leave them out, or give --allow-seen"
            )


def teaching_clips(clips: Sequence[JudgedClip], seed: int) -> Indices:
    """About a quarter, that teach the spread; what belongs together is on one side."""
    unit_names = np.array(name_units([clip.group for clip in clips], clip_hashes(clips)))
    wanted, chosen = round(SPREAD_SHARE * len(clips)), np.zeros(len(clips), np.bool_)
    for unit in np.random.default_rng([seed, len(clips)]).permutation(np.unique(unit_names)):
        if chosen.sum() < wanted:
            chosen |= unit_names == unit
    return np.flatnonzero(chosen)


def publish_calibrated(
    store: Store, checkpoint: Checkpoint, confidence: Confidence, clips: Sequence[JudgedClip]
) -> Checkpoint:
    """The same network with this calibration, as the next version."""
    card = checkpoint.card
    return republish(
        store,
        checkpoint,
        confidence=confidence,
        splits=card.splits | {"calibration": len(clips)},
        clips=ClipsCard.of(
            training=card.clips.training,
            validation=card.clips.validation,
            calibration=clip_hashes(clips),
            groups=card.clips.groups,
            unlisted=card.clips.unlisted,
        ),
    )


def judged_values(scorer: Scorer, clips: Sequence[JudgedClip]) -> NDArray[np.float32]:
    """(N, O): what the outputs are to predict, NaN where it is not known.

    The execution is what the rule of the difficulty leaves of the score, so that its interval
    holds that score.
    """
    rule = scorer.spec.difficulty_rule
    columns: dict[Output, list[float]] = {
        "final": [clip.score for clip in clips],
        "execution": [
            np.nan if clip.difficulty is None else execution_of(clip.score, clip.difficulty, rule)
            for clip in clips
        ],
    }
    return np.array([columns[output] for output in scorer.outputs], np.float32).T
