"""
Splash and foam: droplets that fly up from the entry, fall back and float for a while.

All droplets are drawn once per clip; the size of a splash only scales how many fly and how far.
"""

import numpy as np
from numpy.typing import NDArray

from training.simulator.body import Floats
from training.simulator.camera import View
from training.simulator.looks import HEIGHT, WIDTH, Pixels

DROPLETS = 900
_CELL = 2  # pixels; spray is gathered on a coarser grid and spread out again
FOAM = np.array((226.0, 232.0, 235.0), dtype=np.float32)


class Spray:
    """The droplets of one clip around the point of entry."""

    def __init__(self, place: Floats, rng: np.random.Generator, *, varied: bool = False) -> None:
        """`varied`: how wide and high it flies and how long it floats differ from clip to clip."""
        self._place = place
        self._angle = rng.uniform(0, 2 * np.pi, DROPLETS)
        self._out = rng.gamma(2.0, 0.5, DROPLETS)
        self._up = rng.beta(1.6, 1.8, DROPLETS)
        self._begin = rng.uniform(0.02, 0.10, DROPLETS)
        self._delay = rng.integers(0, 5, DROPLETS)
        self._weight = rng.uniform(0.5, 1.5, DROPLETS)
        self._wide, self._high, self._fades, self._drift = 1.0, 1.0, 13.0, 0.004
        if varied:
            self._wide, self._high, self._fades = rng.uniform((1.0, 0.8, 9.0), (2.6, 1.4, 24.0))
            self._drift = 0.005

    def draw(
        self, frame: Pixels, view: View, corner: NDArray[np.int64], age: int, size: float
    ) -> None:
        """Spray `age` frames after it began; size 0…1 of the largest splash."""
        count = int(DROPLETS * (0.12 + 0.88 * size))
        t = np.maximum(age - self._delay[:count], 0).astype(np.float64)
        gravity = 0.0075
        highest = self._high * (0.10 + 0.85 * size)  # body heights
        speed = np.sqrt(2 * gravity * highest) * self._up[:count]
        airborne = np.minimum(t, 2 * speed / gravity)
        height = speed * airborne - gravity * airborne**2 / 2
        drift = self._wide * (self._drift + 0.010 * size)
        floated = t - airborne
        radius = self._wide * self._begin[:count] * (0.6 + size) + drift * self._out[:count] * (
            airborne + 0.35 * floated
        )
        points = np.stack(
            (
                self._place[0] + radius * np.cos(self._angle[:count]),
                height,
                self._place[2] + radius * np.sin(self._angle[:count]),
            ),
            axis=-1,
        )
        weight = self._weight[:count] * np.exp(-floated / self._fades) * np.minimum(t, 2) / 2
        spread = view.project(points)[:, :2] - corner
        _deposit(frame, spread, weight * (view.zoom_at(self._place) / 130) ** 2)


def _deposit(frame: Pixels, pixels: Floats, weight: Floats) -> None:
    """Blend white into the frame where droplets gather."""
    inside = ((pixels > 4) & (pixels < (WIDTH - 5, HEIGHT - 5))).all(axis=1) & (weight > 0)
    if not inside.any():
        return
    cells = (pixels[inside] / _CELL).astype(np.int64)
    low = np.maximum(cells.min(axis=0) - 3, 0)
    high = np.minimum(cells.max(axis=0) + 4, (WIDTH // _CELL, HEIGHT // _CELL))
    width, height = high - low
    flat = (cells[:, 1] - low[1]) * width + cells[:, 0] - low[0]
    grid = np.bincount(flat, weights=weight[inside], minlength=width * height)
    dense = grid.reshape(height, width).astype(np.float32)
    for _ in range(2):
        dense[1:-1] = (dense[:-2] + 2 * dense[1:-1] + dense[2:]) / 4
        dense[:, 1:-1] = (dense[:, :-2] + 2 * dense[:, 1:-1] + dense[:, 2:]) / 4
    alpha = 1 - np.exp(-1.5 * dense)
    alpha = alpha.repeat(_CELL, axis=0).repeat(_CELL, axis=1)[..., None]
    left, top = low * _CELL
    patch = frame[top : top + height * _CELL, left : left + width * _CELL]
    patch[...] = patch + alpha * (FOAM - patch)
