"""
Which frames of a video a clip shows: those of a window, at the spec's rate, at most the last T.

Shapes: T' frames of the clip, at most the spec's T.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from model_store.errors import InvalidTrim
from model_store.spec import ClipSpec
from model_store.video.container import Video, frames_in_words
from model_store.video.timeline import Timeline

_MOST_REPEATS = Fraction(1, 20)  # of the frames; more are a low frame rate
_STILL = 3  # frames; a frame that stays longer does so because nothing happens
_ROUNDED = Fraction(1, 20)  # of a frame: callers send times that were rounded to milliseconds
_LATEST_ORIGIN = 60  # seconds of sound before the first frame; a later start time is wrong


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a file between two times of a player's clock, in seconds; None is its end."""

    start_s: float | None = None
    end_s: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("start_s", self.start_s), ("end_s", self.end_s)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidTrim(f"{name} is {value}, need a finite number of at least 0")
        if self.start_s is not None and self.end_s is not None and self.start_s >= self.end_s:
            raise InvalidTrim(f"start_s is {self.start_s}, need less than end_s, {self.end_s}")

    def outputs(self, origin: Fraction, fps: Fraction) -> slice:
        """The frames of a clip that begins at `origin` whose instants are in [start_s, end_s)."""
        first, last = (
            None
            if value is None
            else max(0, math.ceil((Fraction(value) - origin) * fps - _ROUNDED))
            for value in (self.start_s, self.end_s)
        )
        return slice(first, last)

    def seconds(self, origin: Fraction, duration: Fraction) -> Fraction:
        """How much of a clip that begins at `origin` lies in the window."""
        first, last = Fraction(0), duration
        if self.start_s is not None:
            first = max(first, Fraction(self.start_s) - origin)
        if self.end_s is not None:
            last = min(last, Fraction(self.end_s) - origin)
        return last - first


@dataclass(frozen=True, slots=True)
class Selection:
    """The frames of a video that a clip shows, and when."""

    timeline: Timeline
    """Of all frames of the video."""
    moments: Timeline
    """The same, or of the fields of all frames where each field is shown by itself."""
    origin: Fraction
    """Seconds on a player's clock at which the first frame of the video is shown."""
    shown: Sequence[int]
    """(T',) which of the moments each frame of the clip shows, never decreasing."""
    first: int
    """How many frames of the resampled video come before."""
    trimmed: bool

    @classmethod
    def of(
        cls, video: Video, timeline: Timeline, spec: ClipSpec, window: Window, *, fields: bool
    ) -> "Selection":
        """Raises UnusableClip for a video of fewer than L frames, InvalidTrim for such a window."""
        need = spec.fragment_length
        moments = timeline.fields() if fields else timeline
        shown = moments.resample(spec.fps)
        if len(shown) < need:
            raise video.too_short(len(shown), need)
        origin = _origin(video, timeline)
        outputs = range(len(shown))[window.outputs(origin, spec.fps)]
        if len(outputs) < need:
            raise InvalidTrim(
                f"start_s and end_s leave {frames_in_words(len(outputs))} of {len(shown)},"
                f" need at least {need}"
            )
        kept = outputs[-spec.frames :]
        over = window.seconds(origin, timeline.duration) - spec.frames / spec.fps
        trimmed = len(kept) < len(outputs) and over >= _rounding(timeline, spec)
        return cls(timeline, moments, origin, shown[kept.start : kept.stop], kept.start, trimmed)

    def outputs(self, keys: Sequence[int]) -> dict[int, list[tuple[int, slice]]]:
        """For the key of each frame that is shown: its fields, and the frames of the clip that
        show each."""
        outputs: dict[int, list[tuple[int, slice]]] = {}
        fields = len(self.moments.pts) // len(self.timeline.pts)
        for moment, places in groupby(range(len(self.shown)), key=self.shown.__getitem__):
            run = list(places)
            frame, field = divmod(moment, fields)
            outputs.setdefault(keys[frame], []).append((field, slice(run[0], run[-1] + 1)))
        return outputs

    def part(self, frames: slice) -> "Selection":
        """Some of the frames, one after another, as if their times had been asked for."""
        chosen = range(len(self.shown))[frames]
        shown = self.shown[chosen.start : chosen.stop]
        return replace(self, shown=shown, first=self.first + chosen.start, trimmed=False)

    @property
    def low_frame_rate(self) -> bool:
        """Whether many frames of the clip repeat the one before."""
        runs = (len([*run]) for _, run in groupby(self.shown))
        repeats = sum(min(run, _STILL) - 1 for run in runs)
        return repeats > _MOST_REPEATS * len(self.shown)

    def times(self) -> NDArray[np.float64]:
        """(T',) seconds on a player's clock."""
        seconds = (self.origin + self.moments.seconds(moment) for moment in self.shown)
        return np.fromiter(map(float, seconds), np.float64, len(self.shown))


def _rounding(timeline: Timeline, spec: ClipSpec) -> Fraction:
    """Seconds by which a clip may be longer than T frames without being called trimmed.

    A copy of T frames at another rate ends with its own last frame: it is longer by less than one
    of its frames, and by the half frame of the clip by which T may have been rounded down.
    """
    return timeline.gap * timeline.time_base + 1 / (2 * spec.fps)


def _origin(video: Video, timeline: Timeline) -> Fraction:
    if timeline.assumed or video.start is None:
        return Fraction(0)
    origin = timeline.pts[0] * timeline.time_base - video.start
    return origin if 0 <= origin <= _LATEST_ORIGIN else Fraction(0)
