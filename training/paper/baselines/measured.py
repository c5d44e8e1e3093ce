"""
What a method reaches on clips that it has not learned from: the test split, or those that a fold
of the training split holds out.

Training clips come in the order of their hashes, whatever the order of rows and folders.

Shapes: N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.card import ClipsCard, group_hash
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes
from training.data.folds import by_hash, folds_of
from training.data.seen_clips import SeenClips, seen_among
from training.data.split import Origin
from training.display import Bar, warn
from training.errors import DataError
from training.measure.evaluate import agreement
from training.metrics import spearman
from training.paper.baselines.methods import Method, Sources, regression

Floats = NDArray[np.float64]

FEWEST = 8  # clips to learn from: parameters are chosen by folds of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Of one method. What it gives is JSON-ready, with the score of every clip."""

    method: Method
    sources: Sources
    origin: Origin | None
    """What the features come from, and which clips that has seen."""
    seed: int
    bar: Bar

    def on_test_split(
        self, train: Sequence[JudgedClip], test: Sequence[JudgedClip]
    ) -> dict[str, Any]:
        """Raises DataError, RunError."""
        train, hashes = _in_order(train)
        _check_enough(len(train))
        groups = [group_hash(clip.group) for clip in train if clip.group is not None]
        seen = self._seen(test, self._known.trained_on(hashes, groups=groups))
        regress = regression(self.method, [train, test], self.sources, seed=self.seed, bar=self.bar)
        rows = np.arange(len(train) + len(test))
        predicted = regress(rows[: len(train)], rows[len(train) :])
        mean = float(np.mean([clip.score for clip in train]))
        return {
            "seen": seen.counts,
            "train_clips": len(train),
            **agreement(predicted, test, mean),
            "scores": _scores(test, clip_hashes(test), predicted),
        }

    def by_folds(self, train: Sequence[JudgedClip], folds: int) -> dict[str, Any]:
        """Every clip by a fit that has not seen it; those that trained the origin are left out.

        Beside each is always the mean of what the other folds hold out. Raises DataError, RunError.
        """
        train, hashes = _in_order(train)
        sides = folds_of(train, hashes, folds, self.origin)
        for note in sides[0].notes:
            warn(note)
        fold = np.full(len(train), -1)
        for k, side in enumerate(sides):
            _check_enough(len(side.training))
            fold[side.validation] = k
        rows = np.flatnonzero(fold >= 0)
        held, fold = [train[row] for row in rows], fold[rows]
        seen = self._seen(held, self._known)
        regress = regression(self.method, [train], self.sources, seed=self.seed, bar=self.bar)
        every = np.full(len(train), np.nan)
        for side in sides:
            every[side.validation] = regress(side.training, side.validation)
        predicted, judged = every[rows], np.array([clip.score for clip in held])
        parts = [fold == k for k in range(folds)]
        mean = np.empty_like(judged)
        for part in parts:
            mean[part] = judged[~part].mean()
        scores = _scores(held, [hashes[row] for row in rows], predicted)
        return {
            "seen": seen.counts,
            "folds": folds,
            "train_clips": len(train),
            **agreement(predicted, held, mean),
            "spearman_by_fold": [spearman(predicted[part], judged[part]) for part in parts],
            "scores": scores | {"fold": fold.tolist()},
        }

    @property
    def _known(self) -> ClipsCard:
        return ClipsCard.of() if self.origin is None else self.origin.clips

    def _seen(self, clips: Sequence[JudgedClip], known: ClipsCard) -> SeenClips:
        seen = seen_among(self.method, known, clips)
        seen.warn()
        return seen


def _in_order(clips: Sequence[JudgedClip]) -> tuple[list[JudgedClip], list[str]]:
    order, hashes = by_hash(clips)
    return [clips[row] for row in order], hashes


def _check_enough(clips: int) -> None:
    """Raises DataError."""
    if clips < FEWEST:
        raise DataError(f"{clips} clips to learn from, need at least {FEWEST}")


def _scores(clips: Sequence[JudgedClip], hashes: Sequence[str], predicted: Floats) -> Any:
    """A value a clip in each list."""
    return {
        "sha256": list(hashes),
        "judged": [clip.score for clip in clips],
        "predicted": predicted.tolist(),
    }
