"""
How far a score moves when the same clip is stored in another way.

The rule: the original and its copies are read as the service reads uploads, and scored; their
scores should be the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.clip import ClipWarning, Source, prepare_clip, read_clip
from model_store.confidence import REVIEWED, ReviewReason, review_reasons
from model_store.errors import ClipError
from model_store.scorer import Scorer
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError
from training.measure.calibration import COVERAGE
from training.measure.stored_copies import WAYS, name_of, recording_of

Progress = Callable[[int, int], None]

MOST_CLIPS = 10


@dataclass(frozen=True, slots=True)
class _Answer:
    score: float
    warnings: frozenset[ClipWarning]
    reasons: frozenset[ReviewReason]


@dataclass(frozen=True, slots=True)
class _Change:
    """From a clip to a copy of it."""

    points: float
    warnings: frozenset[ClipWarning]
    """That the clip does not have."""
    reviewed: bool
    """The copy has a reason for review that the clip does not have."""

    @classmethod
    def between(cls, original: _Answer, copy: _Answer) -> "_Change":
        return cls(
            points=copy.score - original.score,
            warnings=copy.warnings - original.warnings,
            reviewed=bool(copy.reasons - original.reasons),
        )


def storage_figures(
    scorer: Scorer, clips: Sequence[JudgedClip], progress: Progress | None = None
) -> dict[str, Any]:
    """How far the scores of the first clips move when they are stored otherwise; JSON-ready.

    `storage` has a row for each way to store them. `moved_by` has, for each warning that the copies
    have and that asks for no review, the points by which nine of ten scores move at most.
    Raises DataError for a clip that cannot be used.
    """
    clips = clips[:MOST_CLIPS]
    changes: dict[str, list[_Change]] = defaultdict(list)
    for number, clip in enumerate(clips):
        original, recording = _answer(scorer, clip.source), recording_of(clip.source)
        for done, (name, way) in enumerate(WAYS.items(), start=1):
            copy = _answer(scorer, way.store(recording))
            changes[name].append(_Change.between(original, copy))
            if progress is not None:
                progress(number * len(WAYS) + done, len(clips) * len(WAYS))
    return {
        "storage": [_figures(name, of_way) for name, of_way in changes.items()],
        "moved_by": _moved_by(changes.values()),
    }


def _answer(scorer: Scorer, source: Source) -> _Answer:
    try:
        clip = prepare_clip(read_clip(source, scorer.spec), scorer.spec)
    except ClipError as error:
        raise DataError(f"{name_of(source)}: {error}") from error
    [score] = scorer.score([clip.frames])
    reasons = review_reasons(score.trust, blank=score.blank, warnings=clip.warnings)
    return _Answer(score.score, frozenset(clip.warnings), frozenset(reasons))


def _figures(name: str, changes: Sequence[_Change]) -> dict[str, Any]:
    points = [change.points for change in changes]
    return {
        "stored": name,
        "clips": len(changes),
        "mean_change": float(np.mean(np.abs(points))),
        "worst_change": max(points, key=abs),
        "new_warning": sum(bool(change.warnings) for change in changes),
        "new_review": sum(change.reviewed for change in changes),
    }


def _moved_by(ways: Iterable[Sequence[_Change]]) -> dict[str, float]:
    """By the warnings that all copies of a way have: others come from the clip as much."""
    points: dict[ClipWarning, list[float]] = defaultdict(list)
    for changes in ways:
        for warning in frozenset.intersection(*(change.warnings for change in changes)):
            points[warning] += [abs(change.points) for change in changes]
    return {
        str(warning): float(np.quantile(points[warning], COVERAGE, method="higher"))
        for warning in ClipWarning
        if warning in points and warning not in REVIEWED
    }
