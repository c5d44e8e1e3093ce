"""
Two checkpoints on the same clips: which one ranks and measures better.

The rule: everything is paired. Each resample of the bootstrap draws the same clips for both, so an
interval shows how far a difference would move with other clips, and not how hard the clips are. A
difference is the second checkpoint's figure minus the first one's.

Shapes: N clips.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_store.judging.difficulty import ScoredBy
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError
from training.measure.bootstrap import CONFIDENCE, Estimate, Repeated, difference
from training.measure.evaluate import Evaluation
from training.metrics import mean_distance, spearman

Floats = NDArray[np.float64]

FEWEST = 3  # clips; of two the order is a coin's
SHOWN = 15  # clips on which the two differ most


@dataclass(frozen=True, slots=True)
class Scores:
    """What one checkpoint answers for the clips."""

    predicted: Floats
    """(N,) points"""
    interval: tuple[Floats, Floats] | None
    """Low and high, (N,) each, points; None for a checkpoint that is not calibrated."""

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Scores":
        trusts = [score.trust for score in evaluation.scores]
        known = [trust.interval for trust in trusts if trust is not None]
        if len(known) < len(trusts):
            return cls(evaluation.predicted, None)
        low, high = np.array([(each.low, each.high) for each in known]).T
        return cls(evaluation.predicted, (low, high))

    def covered(self, judged: Floats) -> Floats | None:
        """(N,) 1 where the judged score is in the interval, else 0."""
        if self.interval is None:
            return None
        low, high = self.interval
        inside: Floats = ((low <= judged) & (judged <= high)).astype(np.float64)
        return inside

    @property
    def width(self) -> Floats | None:
        """(N,) points"""
        return None if self.interval is None else self.interval[1] - self.interval[0]


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both."""

    first: float
    second: float
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    names: tuple[str, str]
    clips: Sequence[JudgedClip]
    scores: dict[ScoredBy, tuple[Scores, Scores]]
    """By what they rest on; with the difficulty only where each clip has one."""

    @property
    def judged(self) -> Floats:
        return np.array([clip.score for clip in self.clips])

    @property
    def shown(self) -> tuple[Scores, Scores]:
        """Those that the service answers with for these clips."""
        return list(self.scores.values())[-1]

    @functools.cached_property
    def figures(self) -> dict[ScoredBy, dict[str, Compared]]:
        """By what the scores rest on, and by name."""
        return {by: self._figures(*pair) for by, pair in self.scores.items()}

    def _figures(self, one: Scores, other: Scores) -> dict[str, Compared]:
        """Those of intervals only where both checkpoints have them."""
        judged = self.judged
        found = {
            "spearman": _compared(spearman, one.predicted, other.predicted, judged),
            "mean_distance": _compared(mean_distance, one.predicted, other.predicted, judged),
        }
        for name, first, second in (
            ("coverage", one.covered(judged), other.covered(judged)),
            ("width", one.width, other.width),
        ):
            if first is not None and second is not None:
                found[name] = _compared(_mean, first, second, judged)
        return found

    @property
    def most_different(self) -> list[int]:
        """Indices of the clips on which the two differ most, the most different first."""
        one, other = self.shown
        gap = np.abs(one.predicted - other.predicted)
        return [int(index) for index in np.argsort(-gap, kind="stable")[:SHOWN]]

    def to_json(self) -> dict[str, Any]:
        one, other = self.shown
        return {
            "checkpoints": list(self.names),
            "clips": len(self.clips),
            "confidence": CONFIDENCE,
            "figures": {
                by: {name: asdict(each) for name, each in figures.items()}
                for by, figures in self.figures.items()
            },
            "verdict": verdict(self),
            "most_different": [
                {
                    "clip": self.clips[index].columns["clip"],
                    "judged": float(self.judged[index]),
                    "scores": [float(one.predicted[index]), float(other.predicted[index])],
                }
                for index in self.most_different
            ],
        }


def compare(one: Evaluation, other: Evaluation) -> Comparison:
    """Of the same clips in the same order.   Raises DataError for too few of them."""
    if len(one.clips) < FEWEST:
        raise DataError(f"{len(one.clips)} clips, need at least {FEWEST} to compare on")
    scores: dict[ScoredBy, tuple[Scores, Scores]] = {"video": (Scores.of(one), Scores.of(other))}
    declared = one.with_difficulty, other.with_difficulty
    if any(declared):  # one without an output for it answers from the video
        scores["video and difficulty"] = (
            Scores.of(declared[0] or one),
            Scores.of(declared[1] or other),
        )
    names = (_name(one), _name(other))
    return Comparison(names, one.clips, scores)


def verdict(comparison: Comparison) -> list[str]:
    """In words, a sentence for each figure that says which is better."""
    sentences = []
    for by, figures in comparison.figures.items():
        for name, verb, unit, sign in (
            ("spearman", "ranks", "Spearman", 1),
            ("mean_distance", "measures", "points of distance", -1),
        ):
            gap = figures[name].difference
            size = f"{gap.value:+.3f} {unit} ({gap.low:+.3f} to {gap.high:+.3f})"
            if gap.low <= 0 <= gap.high:
                text = f"These clips do not show which one {verb} better"
            else:
                better = comparison.names[sign * gap.value > 0]
                text = f"{better} {verb} better"
            sentences.append(f"By {by}: {text}: {size}.")
    return sentences


def _compared(
    measure: Callable[[ArrayLike, ArrayLike], float], first: Floats, second: Floats, judged: Floats
) -> Compared:
    one, other = (Repeated(each[None], (0,)) for each in (first, second))
    gap = difference(measure, other, one, judged)
    return Compared(measure(first, judged), measure(second, judged), gap)


def _mean(values: ArrayLike, judged: ArrayLike) -> float:
    return float(np.asarray(values, np.float64).mean())


def _name(evaluation: Evaluation) -> str:
    return evaluation.scorer.checkpoint.reference
