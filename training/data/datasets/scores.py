"""
Whether scores can be those of an action: another unit, sport or column shows in their size.

The rule: real scores pass the nominal range a little, a dive of 105 points is one, and are never
refused for it. What is several ranges away is no score on that scale.
"""

import math
from collections.abc import Sequence

from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.display import warn
from training.errors import DataError

FAR = 2.0  # widths of the range beyond it: an error
BEYOND = 0.25  # widths beyond it: a warning
SMALL = 0.1  # of the range: a warning where no score is above it


def check_scores(clips: Sequence[JudgedClip], spec: ClipSpec) -> None:
    """Raises DataError for scores that are far outside the action's range."""
    low, high = spec.score_range
    width = high - low
    scale = f"{spec.action} is scored from {low:g} to {high:g} points"
    if far := _outside(clips, low - FAR * width, high + FAR * width):
        raise DataError(f"{_listed(far, clips)} far outside: {scale}")
    if beyond := _outside(clips, low - BEYOND * width, high + BEYOND * width):
        warn(f"{_listed(beyond, clips)} outside: {scale}")
    if clips and all(clip.score <= low + SMALL * width for clip in clips):
        most = max(clip.score for clip in clips)
        warn(f"no score is above {most:g}: {scale}, are these marks or executions?")
    if clips and all(_is_execution(clip, spec) for clip in clips):
        warn("each score is the clip's execution: need the final score, with the difficulty in it")


def _outside(clips: Sequence[JudgedClip], low: float, high: float) -> list[JudgedClip]:
    return [clip for clip in clips if not low <= clip.score <= high]


def _is_execution(clip: JudgedClip, spec: ClipSpec) -> bool:
    """The score without the difficulty, which is known and would change it."""
    neutral = 1.0 if spec.difficulty_rule == "multiply" else 0.0
    return (
        clip.execution is not None
        and clip.difficulty not in (None, neutral)
        and math.isclose(clip.score, clip.execution)
    )


def _listed(outside: Sequence[JudgedClip], clips: Sequence[JudgedClip]) -> str:
    first = outside[0]
    return f"{len(outside)} of {len(clips)} scores, as {first.score:g} of {first.source}, are"
