"""What the camera itself adds: the blur of panning, graphics on screen, noise of the sensor."""

import numpy as np
from numpy.typing import NDArray

from training.simulator.looks import HEIGHT, WIDTH, Looks, Pixels

_ROOM = 32  # pixels by which the sheet of noise is larger than the picture


class Recording:
    def __init__(self, looks: Looks, frames: int, rng: np.random.Generator) -> None:
        grey = rng.standard_normal((HEIGHT + _ROOM, WIDTH + _ROOM, 1), dtype=np.float32)
        tint = rng.standard_normal((HEIGHT + _ROOM, WIDTH + _ROOM, 3), dtype=np.float32)
        noise = looks.noise * (0.8 * grey + 0.5 * tint)
        self._noise = np.clip(np.rint(noise), -16, 16).astype(np.int8).view(np.uint8)
        self._shift = rng.integers(0, _ROOM, (frames, 2))  # of the noise, per frame
        self._looks = looks
        self._graphic = _graphic(rng) if looks.overlay else None

    def pan(self, backdrop: Pixels, corner: NDArray[np.int64], before: NDArray[np.int64]) -> Pixels:
        """The picture at `corner` of the backdrop, blurred along the way from `before`."""
        moved = (corner - before) * self._looks.pan_blur
        longest = np.abs(moved).max()
        first = _cut(backdrop, corner)
        if longest < 1.5:
            return first.copy()
        if self._looks.style == "plain":
            second = _cut(backdrop, corner - np.rint(moved * 0.5).astype(np.int64))
            third = _cut(backdrop, corner - np.rint(moved).astype(np.int64))
            outer: Pixels = (first >> 2) + (third >> 2) + (second >> 1)
            return outer
        places = corner - np.linspace((0, 0), moved, max(3, int(longest / 2)))
        sums = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
        for place in np.rint(places).astype(np.int64):
            sums += _cut(backdrop, place)
        blurred: Pixels = (sums // len(places)).astype(np.uint8)
        return blurred

    def finish(self, frame: Pixels, t: int) -> Pixels:
        """Mirror, graphics, softness, noise; `looks.graded` leaves room: no noise is clipped."""
        if self._looks.mirrored:
            frame = frame[:, ::-1]
        if self._graphic is not None:
            (top, left), image = self._graphic
            frame = np.ascontiguousarray(frame)
            frame[top : top + image.shape[0], left : left + image.shape[1]] = image
        if self._looks.softness < 1:
            frame = _softened(frame, self._looks.softness)
        down, right = self._shift[t]
        noise = self._noise[down : down + HEIGHT, right : right + WIDTH]
        result: Pixels = frame + noise
        return result


def _softened(frame: Pixels, share: float) -> Pixels:
    """As if only a share of its lines and columns had been recorded."""
    from PIL import Image  # of the extra, which plain clips do without

    image = Image.fromarray(frame)
    small = image.resize((round(WIDTH * share), round(HEIGHT * share)), Image.Resampling.BOX)
    return np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def _cut(backdrop: Pixels, corner: NDArray[np.int64]) -> Pixels:
    height, width = backdrop.shape[:2]
    left = min(max(int(corner[0]), 0), width - WIDTH)
    top = min(max(int(corner[1]), 0), height - HEIGHT)
    return backdrop[top : top + HEIGHT, left : left + WIDTH]


def _graphic(rng: np.random.Generator) -> tuple[tuple[int, int], Pixels]:
    """A title or score box for a corner or the bottom; what it shows means nothing."""
    wide, high = (int(rng.integers(70, 190)), int(rng.integers(14, 24)))
    image = np.empty((high, wide, 3), np.uint8)
    image[:] = rng.integers(24, 120, 3)
    image[:, : high + 2] = rng.integers(60, 220, 3)
    x = high + 8
    while x < wide - 8:
        step = int(rng.integers(3, 8))
        if rng.random() < 0.85:
            image[high // 3 : high - high // 3, x : x + step - 1] = 226
        x += step
    bottom, right = rng.random(2) < (0.8, 0.5)
    top = HEIGHT - high - 8 if bottom else 8
    left = WIDTH - wide - 12 if right else 12
    return (top, left), image
