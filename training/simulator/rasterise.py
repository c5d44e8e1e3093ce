"""
The athlete's body as shaded, tapered capsules, drawn far limbs first.

Work is bounded by each capsule's own box: per frame some twenty small numpy patches.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.body import POINT, Floats
from training.simulator.looks import HEIGHT, WIDTH, Colour, Looks, Pixels, graded_colour

_OVER = 0.09  # body heights by which trunks lie over the limbs that they cover
_MARGIN = 2  # pixels around a capsule, for its soft edge


@dataclass(frozen=True, slots=True)
class Capsule:
    begin: str
    end: str
    begin_radius: float
    """Body heights."""
    end_radius: float
    colour: str


def _limbs() -> tuple[Capsule, ...]:
    parts = []
    for s in ("l", "r"):
        parts += [
            Capsule(f"chest_{s}", f"hip_{s}", 0.066, 0.060, "suit"),
            Capsule(f"hip_{s}", f"knee_{s}", 0.068, 0.048, "thigh"),
            Capsule(f"hip_{s}", f"hip_{s}", 0.068, 0.066, "trunks"),
            Capsule(f"knee_{s}", f"ankle_{s}", 0.048, 0.031, "leg"),
            Capsule(f"ankle_{s}", f"toe_{s}", 0.030, 0.020, "feet"),
            Capsule(f"shoulder_{s}", f"elbow_{s}", 0.042, 0.034, "skin"),
            Capsule(f"elbow_{s}", f"hand_{s}", 0.034, 0.024, "skin"),
        ]
    return (
        *parts,
        Capsule("breast", "belly", 0.060, 0.055, "trim"),
        Capsule("neck", "head", 0.036, 0.034, "skin"),
        Capsule("head", "head", 0.066, 0.066, "hair"),
        Capsule("face", "face", 0.056, 0.056, "skin"),
    )


LIMBS = _limbs()


class BodyPainter:
    """Draws one athlete, frame by frame, with the colours and the light of a clip."""

    def __init__(self, looks: Looks) -> None:
        red, green, blue = looks.skin
        palette: dict[str, Colour] = {
            "skin": looks.skin,
            "feet": looks.feet,
            "hair": looks.hair,
            "suit": looks.skin if looks.bare else looks.suit,
            "trim": looks.skin if looks.bare else looks.trim,
            "trunks": looks.suit,
            "thigh": looks.suit if looks.legs_covered and not looks.bare else looks.skin,
            "leg": (red * 0.94, green * 0.94, blue * 0.94),
        }
        limbs = [c for c in LIMBS if looks.bare or c.colour != "trunks"]
        self._begin = np.array([POINT[c.begin] for c in limbs])
        self._end = np.array([POINT[c.end] for c in limbs])
        self._radii = np.array([(c.begin_radius, c.end_radius) for c in limbs])
        self._over = np.array([_OVER if c.colour == "trunks" else 0.0 for c in limbs])
        self._colours = np.array(
            [graded_colour(palette[c.colour], looks) for c in limbs], dtype=np.float32
        )  # (capsules, 3)
        self._light = np.array(looks.light) / np.hypot(*looks.light)
        self._stoutness = looks.stoutness

    def draw(self, frame: Pixels, pixels: Floats, zoom: float, surface: Floats) -> int:
        """Draw (J, 3) projected points into the frame -> pixels covered.

        surface (J,) is the height of each point above the water; what lies below it is hidden.
        """
        begin, end = pixels[self._begin], pixels[self._end]  # (capsules, 3)
        radii = self._radii * (zoom * self._stoutness)
        begin, end, seen = _above(begin, end, surface[self._begin], surface[self._end])
        near = (begin[:, 2] + end[:, 2]) / 2
        middle = near.mean()
        dim = np.clip(1.0 + 0.9 * (near - middle) / zoom, 0.74, 1.06)
        low = np.minimum(begin, end)[:, :2] - radii.max(axis=1)[:, None] - _MARGIN
        high = np.maximum(begin, end)[:, :2] + radii.max(axis=1)[:, None] + _MARGIN
        low = np.clip(np.floor(low).astype(np.int64), 0, (WIDTH, HEIGHT))
        high = np.clip(np.ceil(high).astype(np.int64), 0, (WIDTH, HEIGHT))
        seen &= (high > low).all(axis=1)
        if not seen.any():
            return 0
        left, top = low[seen].min(axis=0)
        right, bottom = high[seen].max(axis=0)
        patch = frame[top:bottom, left:right].transpose(2, 0, 1).astype(np.float32)
        covered = np.zeros(patch.shape[1:], dtype=bool)
        for i in np.argsort(near + self._over * zoom, kind="stable"):
            if not seen[i]:
                continue
            (x0, y0), (x1, y1) = low[i], high[i]
            alpha, shade = _capsule(
                np.arange(x0, x1, dtype=np.float32) - np.float32(begin[i, 0]),
                np.arange(y0, y1, dtype=np.float32) - np.float32(begin[i, 1]),
                end[i, :2] - begin[i, :2],
                radii[i],
                self._light,
            )
            box = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
            shade *= np.float32(dim[i])
            target = patch[:, box[0], box[1]]
            target += alpha * (self._colours[i][:, None, None] * shade - target)
            covered[box] |= alpha > 0.5
        np.clip(patch, 18, 237, out=patch)
        frame[top:bottom, left:right] = patch.transpose(1, 2, 0)
        return int(np.count_nonzero(covered))


def _above(
    begin: Floats, end: Floats, begin_height: Floats, end_height: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Cut capsules at the surface -> begin, end, and which are to be seen at all."""
    seen = (begin_height > 0) | (end_height > 0)
    span = begin_height - end_height
    crossing = np.divide(begin_height, span, out=np.zeros_like(span), where=span != 0)
    cut = begin + crossing[:, None] * (end - begin)
    begin = np.where((begin_height <= 0)[:, None], cut, begin)
    end = np.where((end_height <= 0)[:, None], cut, end)
    return begin, end, seen


def _capsule(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    axis: Floats,
    radii: Floats,
    light: Floats,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage 0…1 and shade of a tapered capsule from the origin along `axis`, (h, w) each."""
    length = float(np.hypot(*axis))
    if length < 1e-3:  # a ball
        axis, length = np.array((1e-3, 0.0)), 1e-3
    ux, uy = (np.float32(a / length) for a in axis)
    along = (x * ux) + (y * uy)[:, None]
    across = (x * -uy) + (y * ux)[:, None]
    nearest = np.minimum(np.maximum(along, 0), np.float32(length))
    radius = nearest * np.float32((radii[1] - radii[0]) / length)
    radius += np.float32(radii[0])
    along -= nearest
    along *= along
    side = across / radius
    across *= across
    along += across
    distance = np.sqrt(along, out=along)
    alpha = radius - distance
    alpha += np.float32(0.5)
    np.minimum(np.maximum(alpha, 0, out=alpha), 1, out=alpha)
    distance /= radius
    distance *= distance
    distance *= np.float32(-0.30)
    side *= np.float32(0.22 * float(-uy * light[0] - ux * light[1]))
    distance += side
    distance += np.float32(1.08)
    return alpha, distance
