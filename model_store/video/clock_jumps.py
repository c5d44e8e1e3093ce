"""
Where the clock of a recording jumps, and how far the packets after a jump have to be moved.

The rule: a jump is a cut. The frame after it follows the one before it after an ordinary gap.

The timestamps of a transport stream are those of a broadcast: a receiver has to follow when the
sender changes, starts again, or reaches the end of its 33 bits, and no gap may be longer than 0.7 s
[ISO 13818-1, 2.7.4]. There, a step back or a long step ahead is a jump. In all other containers a
long step ahead is a frame that lasts (the camera was paused, nothing moved on a screen), as players
show it. Only a step back is a jump there, if the clock does not return; a few single timestamps
that are wrong are no jumps, see `timeline`.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from model_store.video.timeline import few, rising

_LONGEST_STEP = 1  # seconds, in a broadcast
_USUAL_STEPS = 10  # a broadcast of stills makes longer steps; this often the usual one is a jump
_STRAYS = 8  # packets with wrong times between two that follow each other


def shifts(
    decoded: Sequence[int | None],
    shown: Sequence[int | None],
    time_base: Fraction | None,
    *,
    broadcast: bool,
) -> list[int]:
    """Steps to be added to the dts and pts of each packet, as stored; all 0 where nothing jumps.

    `decoded` are the timestamps in which jumps are looked for, `shown` the pts.
    """
    none = [0] * len(decoded)
    known = [(place, time) for place, time in enumerate(decoded) if time is not None]
    steps = sorted(b - a for (_, a), (_, b) in pairwise(known) if b > a)
    if not steps or not time_base:
        return none
    usual = steps[(len(steps) - 1) // 2]
    longest = max(int(_LONGEST_STEP / time_base), _USUAL_STEPS * usual) if broadcast else None
    starts, strays = _starts(known, longest)
    if not starts or not few(len(starts), len(decoded)):
        return none
    moved = []
    end: int | None = None
    for start, stop in pairwise((0, *starts, len(decoded))):
        times = [
            time
            for place in range(start, stop)
            if (time := shown[place]) is not None and place not in strays
        ]
        shift = end + usual - min(times) if times and end is not None else 0
        if times:
            end = max(times) + shift
        moved += [shift] * (stop - start)
    return moved


def _starts(known: Sequence[tuple[int, int]], longest: int | None) -> tuple[list[int], set[int]]:
    """The packets at which the clock starts anew, and those whose timestamps fit no clock."""

    def follows(time: int, last: int) -> bool:
        return last <= time and (longest is None or time - last <= longest)

    starts: list[int] = []
    strays: set[int] = set()
    right = rising([time for _, time in known])
    if few(len(known) - len(right), len(known)):  # no clock went back
        strays = {place for place, _ in known} - {known[at][0] for at in right}
        known = [known[at] for at in right]
    last = known[0][1]
    for at, (place, time) in enumerate(known):
        if follows(time, last):
            last = time
        elif any(follows(later, last) for _, later in known[at + 1 : at + 1 + _STRAYS]):
            strays.add(place)
        else:
            starts.append(place)
            last = time
    return starts, strays
