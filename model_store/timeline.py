"""
When each picture of a file is on screen, and which of them a clip of constant frame rate shows.

The rule: output k stands for the instant k / fps after the first picture and shows the picture
whose time is nearest to it, the earlier of two that are equally near; but no picture is shown
more than half an output interval before its time. So 30 frames a second stay as they are even
when their times jitter, 60 lose every second picture, a picture that stands longer is repeated.
Everything is counted in integers, nothing is rounded twice.

Shapes: N pictures in the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Timeline:
    """The presentation times of the pictures of a file."""

    stamps: Sequence[int]
    """(N,), N at least 1, strictly increasing: the file's timestamps, or 0…N − 1 if counted."""
    unit: Fraction
    """Seconds a step of `stamps`."""
    counted: bool
    """True where the file has no usable times: pictures in order, at an assumed rate."""

    @classmethod
    def of_stamps(cls, stamps: Sequence[int | None], unit: Fraction | None) -> "Timeline | None":
        """None unless all times are known and each is later than the one before."""
        known = [stamp for stamp in stamps if stamp is not None]
        if not unit or not known or len(known) < len(stamps):
            return None
        if any(b <= a for a, b in pairwise(known)):
            return None
        return cls(known, unit, counted=False)

    @classmethod
    def of_count(cls, pictures: int, rate: Fraction) -> "Timeline":
        return cls(range(pictures), 1 / rate, counted=True)

    @property
    def hold(self) -> int:
        """How long the last picture stays: the (lower) median gap. What files claim is no help."""
        gaps = sorted(b - a for a, b in pairwise(self.stamps))
        return gaps[(len(gaps) - 1) // 2] if gaps else 0

    @property
    def duration(self) -> Fraction:
        """Seconds from the first picture to the end of the last one."""
        return (self.stamps[-1] + self.hold - self.stamps[0]) * self.unit

    @property
    def fps(self) -> float:
        """Mean pictures a second; 0 for a single picture."""
        span = (self.stamps[-1] - self.stamps[0]) * self.unit
        return float((len(self.stamps) - 1) / span) if span else 0.0

    def fields(self) -> "Timeline":
        """The moments of an interlaced video: those of picture n are 2 n and 2 n + 1.

        The second field is half way to the next picture.
        """
        following = (*self.stamps[1:], self.stamps[-1] + self.hold)
        pairs = zip(self.stamps, following, strict=True)
        moments = [moment for this, after in pairs for moment in (2 * this, this + after)]
        return replace(self, stamps=moments, unit=self.unit / 2)

    def seconds(self, index: int) -> Fraction:
        """Time of a picture after the first one."""
        return (self.stamps[index] - self.stamps[0]) * self.unit

    def resample(self, fps: Fraction) -> list[int]:
        """The index of the picture that each output of a clip of `fps` shows; never decreasing."""
        scale = fps.numerator * self.unit.numerator
        step = fps.denominator * self.unit.denominator  # from one output to the next
        times = [(stamp - self.stamps[0]) * scale for stamp in self.stamps]
        end = times[-1] + self.hold * scale
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
