"""
What a recording looks like, frame by frame, in a few numbers: colours, changes, motion.

The rule: they are cheap, a twentieth of a millisecond a frame, and depend on a frame and the one
before it alone. So they can be computed piece by piece, and the same frames give the same numbers.

Shapes: N frames, H W pixels, G × G parts of a picture, Q numbers a frame.

[Lucas81] B. Lucas, T. Kanade. An Iterative Image Registration Technique. IJCAI 1981.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GRID = 16  # parts of a picture each way
BLOCKS = 4  # of them each way in which motion and change are measured
_STILL = 2e-3  # squared levels: of less texture no motion is computed
_FASTEST = 3.0  # parts a frame; what is faster is a cut
FEATURES = 2 * BLOCKS * 3 + 2 * BLOCKS + 3 * BLOCKS * BLOCKS + 5
"""Q: colours of rows and of columns, texture of rows, change and motion of blocks, whole picture"""


def features_of(parts: Floats) -> Floats:
    """`parts_of` a recording, (N, G, G, 3), -> (N, Q), each about −1…1.

    The first frame has changed in nothing.
    """
    grey = parts @ np.array([0.3, 0.6, 0.1], np.float32)  # (N, G, G)
    before = np.concatenate((grey[:1], grey[:-1]))
    change = grey - before
    down, right = np.gradient((grey + before) / 2, axis=(1, 2))
    products = np.stack((down * down, right * right, down * right, down * change, right * change))
    sums = _blocks(products)  # (5, N, BLOCKS, BLOCKS)
    motion = _motion(sums)  # (2, N, BLOCKS, BLOCKS)
    whole = _motion(sums.sum(axis=(2, 3), keepdims=True))[:, :, 0, 0]  # (2, N)
    size: Floats = _blocks(np.abs(change)) / np.float32((GRID // BLOCKS) ** 2)
    strip = parts.reshape(len(parts), BLOCKS, -1, GRID, 3)
    post = parts.reshape(len(parts), GRID, BLOCKS, -1, 3)
    texture = grey.reshape(len(grey), BLOCKS, -1)
    upright = grey.transpose(0, 2, 1).reshape(len(grey), BLOCKS, -1)
    return np.concatenate(
        [
            strip.mean(axis=(2, 3)).reshape(len(parts), -1) - 0.5,
            post.mean(axis=(1, 3)).reshape(len(parts), -1) - 0.5,
            4 * texture.std(axis=2),
            4 * upright.std(axis=2),
            _compressed(size.reshape(len(parts), -1)),
            motion.transpose(1, 0, 2, 3).reshape(len(parts), -1) / 2,
            whole.T,
            _compressed(np.asarray(size.mean(axis=(1, 2)), np.float32))[:, None],
            _compressed(np.asarray(size.max(axis=(1, 2)), np.float32))[:, None],
            (size.max(axis=(1, 2)) < 1e-3)[:, None],  # nothing moves, not even noise
        ],
        axis=1,
    ).astype(np.float32)


def parts_of(frames: NDArray[np.uint8]) -> Floats:
    """(N, H, W, 3) -> (N, G, G, 3) means, 0…1; what is left over at the edges is ignored."""
    for axis in (1, 2):
        if frames.shape[axis] < GRID:
            frames = frames.repeat(-(-GRID // frames.shape[axis]), axis=axis)
    count, height, width, _ = frames.shape
    tall, wide = height // GRID, width // GRID
    kept = frames[:, : tall * GRID, : wide * GRID]
    strips = kept.reshape(count, GRID, tall, -1).sum(axis=2, dtype=np.uint16)
    sums = strips.reshape(count, GRID, GRID, wide, 3).sum(axis=3, dtype=np.uint32)
    means: Floats = sums.astype(np.float32) / np.float32(255 * tall * wide)
    return means


def _blocks(values: Floats) -> Floats:
    """(…, G, G) -> (…, BLOCKS, BLOCKS) sums"""
    side = GRID // BLOCKS
    sums: Floats = values.reshape(*values.shape[:-2], BLOCKS, side, BLOCKS, side).sum(axis=(-3, -1))
    return sums


def _motion(sums: Floats) -> Floats:
    """Of a block, parts a frame down and to the right: least squares.   [Lucas81]"""
    down, right, both, down_change, right_change = sums
    down, right = down + _STILL, right + _STILL
    area = down * right - both * both
    moved = np.stack(
        (
            (both * right_change - right * down_change) / area,
            (both * down_change - down * right_change) / area,
        )
    )
    clipped: Floats = np.clip(moved, -_FASTEST, _FASTEST)
    return clipped


def _compressed(size: Floats) -> Floats:
    """Mean change of level, 0…1 -> about 0…1, so that small ones count, too."""
    root: Floats = np.sqrt(size) * 2
    return root
