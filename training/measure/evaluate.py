"""
Measures a checkpoint on judged clips, by the path that the service takes.

Clips are read as `load_clip` reads them and scored by a `Scorer`; nothing here knows about
training.
`Evaluation` holds what was predicted, `measures` turns it into figures.

A network with both outputs is measured by its score from the video alone; `with_difficulty` has its
score once the declared difficulty is known.

Shapes: N clips, O outputs of the network.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from model_store.clip import prepare
from model_store.errors import ClipError
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.data.file_times import FileTimes, read_timed
from training.errors import DataError
from training.metrics import mean_distance, relative_l2, spearman
from training.prefetch import prefetched

BATCH = 8
READERS = 2  # threads that decode ahead of the scorer


@dataclass(frozen=True, slots=True)
class TimedClip:
    """What the network sees of a file, and when the file shows it."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3)"""
    times: FileTimes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Clips and what a checkpoint made of them, in the same order."""

    scorer: Scorer
    clips: Sequence[JudgedClip]
    times: Sequence[FileTimes]
    scores: Sequence[Score]
    outputs: NDArray[np.float32]
    """(N, O): the value of each output, in its unit."""
    pooled: NDArray[np.float32]
    """(N, P), see `model_store.confidence.pool`."""
    thumbnails: NDArray[np.float32]
    """(N, 192): each clip's mean picture, 8×8."""

    @property
    def predicted(self) -> NDArray[np.float64]:
        return np.array([score.score for score in self.scores])

    @property
    def with_difficulty(self) -> "Evaluation | None":
        """With the scores that use the declared difficulties.

        None where a clip has none, or the network does not predict the execution.
        """
        knows = "execution" in self.scorer.outputs
        if not knows or any(clip.difficulty is None for clip in self.clips):
            return None
        if "final" not in self.scorer.outputs:  # it has no other scores
            return self
        rule = self.scorer.spec.difficulty_rule
        scores = [
            score.with_difficulty(clip.difficulty, rule)
            for score, clip in zip(self.scores, self.clips, strict=True)
        ]
        return dataclasses.replace(self, scores=scores)

    @property
    def judged(self) -> NDArray[np.float64]:
        return np.array([clip.score for clip in self.clips])


def score_clips(
    scorer: Scorer,
    clips: Sequence[JudgedClip],
    progress: Callable[[int, int], None] | None = None,
    *,
    prepared: Iterator[TimedClip] | None = None,
) -> Evaluation:
    """Score them all.   Raises DataError, naming the clip, where one cannot be used.

    `prepared` gives them where they are decoded already, as `prepared_clips` would.
    """
    target, rule = scorer.checkpoint.card.network.target, scorer.spec.difficulty_rule
    if target == "execution" and any(clip.difficulty is None for clip in clips):
        raise DataError("this checkpoint predicts the execution: every clip needs a difficulty")
    scores: list[Score] = []
    times: list[FileTimes] = []
    pooled, thumbnails, outputs = [], [], []
    for batch in in_batches(prepared or prepared_clips(clips, scorer.spec), BATCH):
        answers, features = scorer.score_with_features([timed.frames for timed in batch])
        pooled.append(features)
        thumbnails += [thumbnail(timed.frames) for timed in batch]
        times += [timed.times for timed in batch]
        for answer, clip in zip(answers, clips[len(scores) :], strict=False):
            values = [answer.score]
            if answer.of_execution is not None:
                values.append(answer.of_execution.score)
            outputs.append(values)
            declared = None if target == "both" else clip.difficulty
            scores.append(answer.with_difficulty(declared, rule))
        if progress is not None:
            progress(len(scores), len(clips))
    return Evaluation(
        scorer=scorer,
        clips=clips,
        times=times,
        scores=scores,
        outputs=np.array(outputs, np.float32),
        pooled=np.concatenate(pooled),
        thumbnails=np.stack(thumbnails),
    )


def thumbnail(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(T, H, W, 3) -> (192,): the mean picture, averaged to 8×8."""
    mean = torch.from_numpy(frames.mean(axis=0, dtype=np.float32)).permute(2, 0, 1)
    small: NDArray[np.float32] = F.adaptive_avg_pool2d(mean, 8).flatten().numpy()
    return small


def measures(evaluation: Evaluation) -> dict[str, Any]:
    """The figures, JSON-ready. Blocks that do not apply are left out."""
    card = evaluation.scorer.checkpoint.card
    return {
        "checkpoint": f"{card.name}@{card.version}",
        "sha256": evaluation.scorer.checkpoint.sha256,
        "engine": evaluation.scorer.engine.name,
        **agreement(evaluation.predicted, evaluation.clips, card.data.judged_mean),
    }


def agreement(
    predicted: NDArray[np.float64],
    clips: Sequence[JudgedClip],
    mean: float | NDArray[np.float64],
) -> dict[str, Any]:
    """How well predictions agree with the judges, beside always the training `mean`.

    Of a cross-validation that is one number a clip, (N,).
    """
    judged = np.array([clip.score for clip in clips])
    mean_alone = mean_distance(np.broadcast_to(mean, judged.shape), judged)
    figures: dict[str, Any] = {
        "clips": len(judged),
        "spearman": spearman(predicted, judged),
        "mean_distance": mean_distance(predicted, judged),
        "distance_share": mean_distance(predicted, judged) / mean_alone if mean_alone else None,
        "relative_l2": relative_l2(predicted, judged) if np.ptp(judged) else None,
        "training_mean": {"score": float(np.mean(mean)), "mean_distance": mean_alone},
    }
    difficulty = [clip.difficulty for clip in clips if clip.difficulty is not None]
    if len(difficulty) == len(judged):
        figures["difficulty_alone"] = {"spearman": spearman(difficulty, judged)}
    return figures


def prepared_clips(clips: Sequence[JudgedClip], spec: ClipSpec) -> Iterator[TimedClip]:
    """Each clip in order, a few read ahead.   Raises DataError, naming a clip."""

    def read(clip: JudgedClip) -> TimedClip:
        try:
            decoded, times = read_timed(clip.source, spec)
        except ClipError as error:
            raise DataError(f"{clip.source}: {error}") from error
        return TimedClip(prepare(decoded.frames, spec), times)

    return prefetched(read, clips, threads=READERS, ahead=2 * BATCH)


def in_batches(clips: Iterator[TimedClip], size: int) -> Iterator[list[TimedClip]]:
    while batch := list(itertools.islice(clips, size)):
        yield batch
