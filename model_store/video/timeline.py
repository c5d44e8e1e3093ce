"""
When each frame of a file is on screen, and which of them a clip of constant frame rate shows.

The rule: output k of a clip stands for the instant k / fps after the first frame and shows the
frame whose time is nearest to it, the earlier of two that are equally near; but no frame is shown
more than half an output interval before its time. So 30 frames a second stay as they are even
when their times jitter, of 60 every second one is left out, a frame that lasts longer is repeated.
All arithmetic is on integers, nothing is rounded twice.

A frame whose time is unknown, or not between those of its neighbours, is left out; where there are
more than a few of these, all times of the file are ignored.

Shapes: N frames in the file.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

_MOST_WRONG = Fraction(1, 20)  # of the times; one may always be


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The presentation times of the frames of a file."""

    pts: Sequence[int]
    """(N,), N at least 1, strictly increasing: the file's timestamps, or 0…N − 1 if assumed."""
    time_base: Fraction
    """Seconds of one step of `pts`."""
    indices: Sequence[int]
    """(N,), strictly increasing: the place of each among all frames that the file shows."""
    repaired: bool = False
    """Some frames had no usable time and were left out, or the times had to be moved."""
    stated_last_duration: int = 0
    """Steps that the last frame stays, as the container states; 0 where it states nothing."""
    assumed: bool = False
    """The file has no usable times: its frames follow each other at an assumed rate."""

    @classmethod
    def of_pts(
        cls,
        pts: Sequence[int | None],
        time_base: Fraction | None,
        *,
        stated_last_duration: int = 0,
        repaired: bool = False,
    ) -> "Timeline | None":
        """The times of frames in the order in which they are shown.

        As few frames as possible are left out, so that all times are known and increase. None if
        these are more than one frame in twenty, and more than one.
        """
        indices = rising(pts)
        left_out = len(pts) - len(indices)
        if not time_base or not indices or not few(left_out, len(pts)):
            return None
        return cls(
            pts=[time for i in indices if (time := pts[i]) is not None],
            time_base=time_base,
            indices=indices,
            repaired=repaired or left_out > 0,
            stated_last_duration=stated_last_duration,
        )

    @classmethod
    def at_rate(cls, frames: int, rate: Fraction) -> "Timeline":
        every = range(frames)
        return cls(pts=every, time_base=1 / rate, indices=every, assumed=True)

    @property
    def gap(self) -> int:
        """Steps from one frame to the next: the (lower) median; 0 for a single frame."""
        gaps = sorted(b - a for a, b in pairwise(self.pts))
        return gaps[(len(gaps) - 1) // 2] if gaps else 0

    @property
    def last_duration(self) -> int:
        """Steps that the last frame stays.

        They are what the container states if that is clearly longer than usual: a screen on which
        nothing happens any more. Otherwise they are the usual gap, since containers round, and
        many writers do not know how long their last frame lasts. A single frame has no duration.
        """
        gap = self.gap
        return self.stated_last_duration if gap and 2 * self.stated_last_duration > 3 * gap else gap

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last one."""
        return (self.pts[-1] + self.last_duration - self.pts[0]) * self.time_base

    @property
    def fps(self) -> float:
        """Mean frames a second; 0 for a single frame."""
        span = (self.pts[-1] - self.pts[0]) * self.time_base
        return float((len(self.pts) - 1) / span) if span else 0.0

    def fields(self) -> "Timeline":
        """The times of the fields of an interlaced video: those of frame n are 2 n and 2 n + 1.

        The second field is half way to the next frame.
        """
        following = (*self.pts[1:], self.pts[-1] + self.last_duration)
        pairs = zip(self.pts, following, strict=True)
        pts = [time for this, after in pairs for time in (2 * this, this + after)]
        indices = [2 * index + field for index in self.indices for field in (0, 1)]
        return replace(self, pts=pts, time_base=self.time_base / 2, indices=indices)

    def seconds(self, index: int) -> Fraction:
        """Time of a frame after the first one."""
        return (self.pts[index] - self.pts[0]) * self.time_base

    def resample(self, fps: Fraction) -> list[int]:
        """The index of the frame that each output of a clip of `fps` shows; never decreasing."""
        scale = fps.numerator * self.time_base.numerator
        step = fps.denominator * self.time_base.denominator  # from one output to the next
        times = [(time - self.pts[0]) * scale for time in self.pts]
        end = times[-1] + self.last_duration * scale
        outputs = max(1, (2 * end + step) // (2 * step))  # the last one is at least half filled
        shown: list[int] = []
        current = 0
        for instant in range(0, outputs * step, step):
            while current + 1 < len(times) and times[current + 1] <= instant:
                current += 1
            ahead = times[current + 1] - instant if current + 1 < len(times) else step
            nearer = ahead < instant - times[current] and 2 * ahead <= step
            shown.append(current + 1 if nearer else current)
        return shown


def few(wrong: int, of: int) -> bool:
    """Whether the wrong times are so few that the others can be relied on."""
    return wrong <= 1 or wrong <= _MOST_WRONG * of


def in_order(pts: Sequence[int | None]) -> bool:
    """Whether all times are known and each is later than the one before."""
    known = [time for time in pts if time is not None]
    return len(known) == len(pts) and all(a < b for a, b in pairwise(known))


def rising(pts: Sequence[int | None]) -> Sequence[int]:
    """The indices of as many frames as possible whose times increase.

    Of two that exclude each other the one is kept that fits better between its neighbours.
    """
    if in_order(pts):
        return range(len(pts))
    times = {frame: time for frame, time in enumerate(pts) if time is not None}
    ends: list[int] = []  # ends[k]: the earliest time at which k + 1 rising times can end
    last: list[int] = []  # the frame at that time
    before: dict[int, int] = {}
    for frame, time in times.items():
        length = bisect_left(ends, time)
        if length:
            before[frame] = last[length - 1]
        ends[length : length + 1] = [time]
        last[length : length + 1] = [frame]
    chosen = last[-1:]
    while chosen and chosen[-1] in before:
        chosen.append(before[chosen[-1]])
    return _evened(chosen[::-1], times)


def _evened(chosen: list[int], times: dict[int, int]) -> list[int]:
    """The same choice, each frame replaced by the one near it that makes the times most even."""
    if len(chosen) < 3:
        return chosen
    for at, frame in enumerate(chosen):
        low = chosen[at - 1] if at else -1
        high = chosen[at + 1] if at + 1 < len(chosen) else max(times) + 1
        first = min(max(at - 1, 0), len(chosen) - 3)
        beside = [other for other in chosen[first : first + 3] if other != frame]
        fitting = [other for other in range(low + 1, high) if other in times]
        fitting = [other for other in fitting if _increase(times, low, other, high)]
        chosen[at] = min(fitting, key=lambda other: _unevenness(times, *beside, other))
    return chosen


def _increase(times: dict[int, int], *frames: int) -> bool:
    known = [times[frame] for frame in frames if frame in times]
    return all(a < b for a, b in pairwise(known))


def _unevenness(times: dict[int, int], *frames: int) -> float:
    """How much the time from one frame to the next varies."""
    paces = [(times[b] - times[a]) / (b - a) for a, b in pairwise(sorted(frames))]
    return max(paces) - min(paces)
