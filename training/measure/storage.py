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
from training.data.datasets.media import ClipPart
from training.errors import DataError
from training.measure.calibration import COVERAGE
from training.measure.stored_copies import STORAGE_VARIANTS, name_of, recording_of

Progress = Callable[[int, int], None]

MOST_CLIPS = 10


@dataclass(frozen=True, slots=True)
class _Answer:
    score: float
    warnings: frozenset[ClipWarning]
    reasons: frozenset[ReviewReason]


_Pair = tuple[_Answer, _Answer]  # for a clip, and for a copy of it


def storage_figures(
    scorer: Scorer, clips: Sequence[JudgedClip], progress: Progress | None = None
) -> dict[str, Any]:
    """How far the scores of the first clips move when they are stored otherwise; JSON-ready.

    `storage` has a row for each of `STORAGE_VARIANTS`. `moved_by` has, for each warning that the
    copies have and that asks for no review, the points by which nine of ten scores move at most.
    Raises DataError for a clip that cannot be used.
    """
    clips = clips[:MOST_CLIPS]
    pairs: dict[str, list[_Pair]] = defaultdict(list)
    for number, clip in enumerate(clips):
        part = clip.source if isinstance(clip.source, ClipPart) else None
        source = clip.source if not isinstance(clip.source, ClipPart) else clip.path
        original, recording = _answer(scorer, source, part), recording_of(source)
        for done, (name, variant) in enumerate(STORAGE_VARIANTS.items(), start=1):
            copy = _answer(scorer, variant.store(recording), part)
            pairs[name].append((original, copy))
            if progress is not None:
                each = len(STORAGE_VARIANTS)
                progress(number * each + done, len(clips) * each)
    return {
        "storage": [_figures(name, each) for name, each in pairs.items()],
        "moved_by": _moved_by(pairs.values()),
    }


def _answer(scorer: Scorer, source: Source, part: ClipPart | None) -> _Answer:
    """For the same part of a copy as of the original; None: all of it."""
    start_s, end_s = (None, None) if part is None else (part.start_s, part.end_s)
    try:
        decoded = read_clip(source, scorer.spec, start_s=start_s, end_s=end_s)
        clip = prepare_clip(decoded, scorer.spec)
    except ClipError as error:
        raise DataError(f"{name_of(source)}: {error}") from error
    [score] = scorer.score([clip.frames])
    reasons = review_reasons(score.trust, blank=score.blank, warnings=clip.warnings)
    return _Answer(score.score, frozenset(clip.warnings), frozenset(reasons))


def _figures(name: str, pairs: Sequence[_Pair]) -> dict[str, Any]:
    points = [copy.score - original.score for original, copy in pairs]
    return {
        "stored": name,
        "clips": len(pairs),
        "mean_change": float(np.mean(np.abs(points))),
        "worst_change": max(points, key=abs),
        "new_warning": sum(bool(copy.warnings - original.warnings) for original, copy in pairs),
        "new_review": sum(bool(copy.reasons - original.reasons) for original, copy in pairs),
    }


def _moved_by(variants: Iterable[Sequence[_Pair]]) -> dict[str, float]:
    """By the warnings that all copies of a variant have and their originals have not.

    A warning that only some copies have comes from the clip as much as from the variant.
    """
    points: dict[ClipWarning, list[float]] = defaultdict(list)
    for pairs in variants:
        new = [copy.warnings - original.warnings for original, copy in pairs]
        for warning in frozenset.intersection(*new):
            points[warning] += [abs(copy.score - original.score) for original, copy in pairs]
    return {
        str(warning): float(np.quantile(points[warning], COVERAGE, method="higher"))
        for warning in ClipWarning
        if warning in points and warning not in REVIEWED
    }
