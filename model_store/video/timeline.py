"""
When each picture of a file is on screen, and which of them a clip of constant frame rate shows.

The rule: output k stands for the instant k / fps after the first picture and shows the picture
whose time is nearest to it, the earlier of two that are equally near; but no picture is shown
more than half an output interval before its time. So 30 frames a second stay as they are even
when their times jitter, 60 lose every second picture, a picture that stands longer is repeated.
Everything is counted in integers, nothing is rounded twice.

A picture whose time is unknown, or not between those of its neighbours, is left out; where those
are more than a few, no time is believed.

Shapes: N pictures in the file.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

_MOST_WRONG = Fraction(1, 20)  # of the times; one may always be


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The presentation times of the pictures of a file."""

    stamps: Sequence[int]
    """(N,), N at least 1, strictly increasing: the file's timestamps, or 0…N − 1 if counted."""
    unit: Fraction
    """Seconds a step of `stamps`."""
    pictures: Sequence[int]
    """(N,), strictly increasing: the place of each among all pictures that the file shows."""
    repaired: bool = False
    """Some pictures had no usable time and are not among these, or the times had to be moved."""
    stated_hold: int = 0
    """Steps that the last picture stays, as the container says; 0 where it does not."""
    counted: bool = False
    """True where the file has no usable times: pictures in order, at an assumed rate."""

    @classmethod
    def of_stamps(
        cls,
        stamps: Sequence[int | None],
        unit: Fraction | None,
        *,
        stated_hold: int = 0,
        repaired: bool = False,
    ) -> "Timeline | None":
        """The times of pictures in the order in which they are shown.

        Left out are the fewest without which all times are known and increase. None if that are
        more than one picture in twenty, and more than one.
        """
        pictures = rising(stamps)
        left_out = len(stamps) - len(pictures)
        if not unit or not pictures or not few(left_out, len(stamps)):
            return None
        return cls(
            stamps=[stamp for i in pictures if (stamp := stamps[i]) is not None],
            unit=unit,
            pictures=pictures,
            repaired=repaired or left_out > 0,
            stated_hold=stated_hold,
        )

    @classmethod
    def of_count(cls, pictures: int, rate: Fraction) -> "Timeline":
        every = range(pictures)
        return cls(stamps=every, unit=1 / rate, pictures=every, counted=True)

    @property
    def gap(self) -> int:
        """Steps from one picture to the next: the (lower) median; 0 for a single picture."""
        gaps = sorted(b - a for a, b in pairwise(self.stamps))
        return gaps[(len(gaps) - 1) // 2] if gaps else 0

    @property
    def hold(self) -> int:
        """How long the last picture stays.

        It is what the container says if that is clearly longer than usual: a screen on which
        nothing happens any more. Otherwise it is the usual gap, for containers round, and many
        writers do not know how long their last picture lasts. A picture alone has no length.
        """
        gap = self.gap
        return self.stated_hold if gap and 2 * self.stated_hold > 3 * gap else gap

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
        pictures = [2 * picture + field for picture in self.pictures for field in (0, 1)]
        return replace(self, stamps=moments, unit=self.unit / 2, pictures=pictures)

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


def few(wrong: int, of: int) -> bool:
    """Whether so many wrong times leave the others believable."""
    return wrong <= 1 or wrong <= _MOST_WRONG * of


def in_order(stamps: Sequence[int | None]) -> bool:
    """Whether all times are known and each is later than the one before."""
    known = [stamp for stamp in stamps if stamp is not None]
    return len(known) == len(stamps) and all(a < b for a, b in pairwise(known))


def rising(stamps: Sequence[int | None]) -> Sequence[int]:
    """The longest choice of pictures whose times increase.

    Of two that exclude each other the one stays that fits better between its neighbours.
    """
    if in_order(stamps):
        return range(len(stamps))
    times = {picture: stamp for picture, stamp in enumerate(stamps) if stamp is not None}
    ends: list[int] = []  # ends[k]: the smallest time at which a rising choice of k + 1 ends
    last: list[int] = []  # the picture that it ends with
    before: dict[int, int] = {}
    for picture, time in times.items():
        length = bisect_left(ends, time)
        if length:
            before[picture] = last[length - 1]
        ends[length : length + 1] = [time]
        last[length : length + 1] = [picture]
    chosen = last[-1:]
    while chosen and chosen[-1] in before:
        chosen.append(before[chosen[-1]])
    return _evened(chosen[::-1], times)


def _evened(chosen: list[int], times: dict[int, int]) -> list[int]:
    """The same choice, each picture exchanged for one beside it that makes the times more even."""
    if len(chosen) < 3:
        return chosen
    for at, picture in enumerate(chosen):
        low = chosen[at - 1] if at else -1
        high = chosen[at + 1] if at + 1 < len(chosen) else max(times) + 1
        first = min(max(at - 1, 0), len(chosen) - 3)
        beside = [other for other in chosen[first : first + 3] if other != picture]
        fitting = [other for other in range(low + 1, high) if other in times]
        fitting = [other for other in fitting if _increase(times, low, other, high)]
        chosen[at] = min(fitting, key=lambda other: _unevenness(times, *beside, other))
    return chosen


def _increase(times: dict[int, int], *pictures: int) -> bool:
    known = [times[picture] for picture in pictures if picture in times]
    return all(a < b for a, b in pairwise(known))


def _unevenness(times: dict[int, int], *pictures: int) -> float:
    """How much the time that a picture takes differs between pictures."""
    paces = [(times[b] - times[a]) / (b - a) for a, b in pairwise(sorted(pictures))]
    return max(paces) - min(paces)
