"""
The two fields of an interlaced frame, and which of them was taken first.

The rule: the pictures decide, not the flags. A frame that is flagged as interlaced is scaled field
by field. If both fields show the same moment, as in most broadcasts of progressive material, the
picture is their mean. If they do not, each is a picture of its own, at its own time; the frame's
flag for their order is wrong often enough and is not asked.

Shapes: H W pixels of a small picture; a frame's two are scaled together, as (2 H, W, 3).
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_MOVED = 10  # levels; below are noise and the half line by which fields are apart
_ENOUGH = 100  # moved pixels of all pictures together; fewer say nothing
_SAME_MOMENT = 0.5  # fields of one moment differ by less, as a share of what the motion changes


class FieldOrder(StrEnum):
    """Which field of each frame comes first."""

    TOP = "top"
    BOTTOM = "bottom"

    def in_order(self, both: Picture) -> tuple[Picture, Picture]:
        """(2 H, W, 3) -> the earlier and the later field, (H, W, 3) each."""
        top, bottom = both[0::2], both[1::2]
        return (top, bottom) if self is FieldOrder.TOP else (bottom, top)


def together(both: Picture) -> Picture:
    """(2 H, W, 3) -> (H, W, 3): the mean of two fields that show the same moment."""
    mean: Picture = ((both[0::2].astype(np.uint16) + both[1::2] + 1) // 2).astype(np.uint8)
    return mean


class FieldWatch:
    """Learns from the frames of a clip whether their fields show different moments.

    Of the pixels that move between two frames, how far apart are: the fields of a frame; a bottom
    field and the next top field; a top field and the next bottom field? The first is nothing
    where both show the same moment. Else the second is less than the third if the top field comes
    first.
    """

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None
        self._apart = np.zeros(3)
        self._moved = 0

    def look(self, both: Picture) -> None:
        """At the fields of the next frame, (2 H, W, 3)."""
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
