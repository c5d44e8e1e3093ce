"""
How many different frames a clip shows: a slide show is no routine, whatever its frame rate.

The rule: two frames are the same if no part of them differs by more than compression alters a
still. Parts are squares of 8 × 8 pixels, whose means contain little noise; the difference that
counts grows with the contrast of the clip, so that a dark clip has as many as a bright one.

Measured at 112 × 112: of 300 real dives the least varied shows 71 different ones in 100 frames,
and 65 if it is dimmed to a tenth; two stills, encoded at the worst quality, make 2 to 19 in 150.

Shapes: T' frames, H W pixels, P parts and 3 channels.
"""

import numpy as np
from numpy.typing import NDArray

_PART = 8  # pixels
_OF_CONTRAST = 0.3  # of the standard deviation between the parts of a frame
_LEVELS = 0.5, 8.0  # least and most difference that counts, of 255
_PASSES = (0, 2, 1, 3)  # every fourth frame first, the others only if these are not enough


def count_distinct(frames: NDArray[np.uint8], enough: int) -> int:
    """(T', H, W, 3) -> how many of them are different, counted up to `enough`."""
    seen: NDArray[np.float32] = np.empty((enough, 0), np.float32)
    count = 0
    tolerance = 0.0
    for first in _PASSES:
        parts = _parts(frames[first :: len(_PASSES)])  # (T' / 4, P, 3)
        if first == 0:
            contrast = float(parts.std(axis=1).mean())
            tolerance = float(np.clip(_OF_CONTRAST * contrast, *_LEVELS))
            seen = np.empty((enough, parts[0].size), np.float32)
        for frame in parts.reshape(len(parts), -1):
            if count and np.abs(seen[:count] - frame).max(axis=1).min() <= tolerance:
                continue
            seen[count] = frame
            count += 1
            if count == enough:
                return count
    return count


def _parts(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, H, W, 3) -> (n, P, 3) means; what is left over at the lower and right edge is ignored."""
    count, height, width, _ = frames.shape
    tall, wide = min(_PART, height), min(_PART, width)
    rows, columns = height // tall, width // wide
    whole = frames[:, : rows * tall, : columns * wide]
    strips = whole.reshape(count, rows, tall, -1).sum(axis=2, dtype=np.uint32)
    sums = strips.reshape(count, rows, columns, wide, 3).sum(axis=3, dtype=np.uint32)
    means: NDArray[np.float32] = (sums / (tall * wide)).astype(np.float32)
    return means.reshape(count, -1, 3)
