"""
The two fields of an interlaced frame, and which of them was recorded first.

The rule: the pixels decide, not the flags. A frame that is flagged as interlaced is scaled field
by field. If both fields show the same moment, as in most broadcasts of progressive video, they are
blended to their mean. If they do not, each becomes a frame of its own, at its own time; the flag
for their order is often wrong and is ignored.

Shapes: H W pixels of a scaled field; the two of a frame are scaled together, as (2 H, W, 3).
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_MOVED = 10  # levels; below are noise and the half line by which fields are apart
_ENOUGH = 100  # moved pixels of all frames together; fewer prove nothing
_SAME_MOMENT = 0.5  # fields of one moment differ by less, as a share of what the motion changes


class FieldOrder(StrEnum):
    """Which field of each frame comes first."""

    TOP = "top"
    BOTTOM = "bottom"

    def separate(self, both: Pixels) -> tuple[Pixels, Pixels]:
        """(2 H, W, 3) -> the earlier and the later field, (H, W, 3) each."""
        top, bottom = both[0::2], both[1::2]
        return (top, bottom) if self is FieldOrder.TOP else (bottom, top)


def blend_fields(both: Pixels) -> Pixels:
    """(2 H, W, 3) -> (H, W, 3): the mean of two fields that show the same moment."""
    mean: Pixels = ((both[0::2].astype(np.uint16) + both[1::2] + 1) // 2).astype(np.uint8)
    return mean


class FieldOrderDetector:
    """Finds from the frames of a clip whether their fields show different moments.

    For the pixels that move between two frames it sums up three differences: between the fields of
    a frame; between a bottom field and the next top field; between a top field and the next bottom
    field. The first is almost 0 where both fields show the same moment. Otherwise the second is
    less than the third if the top field comes first.
    """

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None
        self._apart = np.zeros(3)
        self._moved = 0

    def add(self, both: Pixels) -> None:
        """The fields of the next frame, (2 H, W, 3)."""
        grey = both.mean(axis=2).astype(np.int16)  # (2 H, W)
        top, bottom = grey[0::2], grey[1::2]
        if self._before is not None:
            old_top, old_bottom = self._before
            moved = np.maximum(abs(top - old_top), abs(bottom - old_bottom)) > _MOVED
            self._moved += int(np.count_nonzero(moved))
            self._apart += [
                (abs(top - bottom)[moved].sum() + abs(old_top - old_bottom)[moved].sum()) / 2,
                abs(old_bottom - top)[moved].sum(),
                abs(old_top - bottom)[moved].sum(),
            ]
        self._before = top, bottom

    @property
    def order(self) -> FieldOrder | None:
        """None where both fields show the same moment, or nothing moves."""
        within, bottom_to_top, top_to_bottom = self._apart
        if self._moved < _ENOUGH or within < _SAME_MOMENT * min(bottom_to_top, top_to_bottom):
            return None
        return FieldOrder.TOP if bottom_to_top <= top_to_bottom else FieldOrder.BOTTOM
