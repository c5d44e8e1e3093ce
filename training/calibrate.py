"""
Gives a checkpoint its intervals and its sense of the unfamiliar, without training it again.

The rule: the clips that calibrate were used for nothing else, neither to train nor to choose.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from model_store.checkpoint import Checkpoint
from model_store.confidence import Confidence
from model_store.scorer import Scorer
from model_store.store import Store
from training.confidence import COVERAGE, Scored, fit_confidence
from training.datasets.annotations import JudgedClip
from training.errors import DataError
from training.evaluate import score_clips
from training.material import judged_value
from training.publish import republish

SPREAD_SHARE = 0.25  # of the calibration clips, that teach the spread instead
FEWEST = 40

Progress = Callable[[int, int], None]


def calibrate(
    scorer: Scorer,
    clips: Sequence[JudgedClip],
    familiar: Sequence[JudgedClip],
    *,
    seed: int = 0,
    coverage: float = COVERAGE,
    progress: Progress | None = None,
) -> Confidence:
    """Fit on judged `clips`; `familiar` ones say what the network knows, else a part of `clips`.

    Raises DataError for too few clips.
    """
    if len(clips) < FEWEST:
        raise DataError(f"{len(clips)} calibration clips, need at least {FEWEST}")
    scored = scored_clips(scorer, clips, progress)
    order = np.random.default_rng([seed, len(clips)]).permutation(len(clips))
    teaching = order[: round(SPREAD_SHARE * len(clips))]
    calibrating = order[len(teaching) :]
    known = scored_clips(scorer, familiar, progress) if familiar else part(scored, teaching)
    return fit_confidence(
        known.pooled, part(scored, teaching), part(scored, calibrating), coverage=coverage
    )


def publish_calibrated(
    store: Store, checkpoint: Checkpoint, confidence: Confidence, *, clips: int
) -> Checkpoint:
    """The same network with this calibration, as the next version."""
    splits = checkpoint.card.splits | {"calibration": clips}
    return republish(store, checkpoint, confidence=confidence, splits=splits)


def scored_clips(scorer: Scorer, clips: Sequence[JudgedClip], progress: Progress | None) -> Scored:
    """In what the network predicts: final scores, or executions."""
    target = scorer.checkpoint.card.network.target
    evaluation = score_clips(scorer, clips, progress)
    scores = [s.score if target == "final" else s.execution for s in evaluation.scores]
    judged = [judged_value(clip, target) for clip in clips]
    return Scored(evaluation.pooled, np.array(scores, np.float32), np.array(judged, np.float32))


def part(scored: Scored, chosen: Any) -> Scored:
    return dataclasses.replace(
        scored,
        pooled=scored.pooled[chosen],
        scores=scored.scores[chosen],
        judged=scored.judged[chosen],
    )
