"""
A diving hall as a camera sees it that stands near and turns: stands behind, the pool below.

The hall is a floor and one wall, which fill the view row by row: a row shows either the floor at
one distance from the camera, or the wall at one height. What is painted on them (spectators,
boards, lane lines) is drawn from the clip's seed, in far more ways than one hall has.

Axes: right and forward from the camera, up from the water; body heights.
"""

import colorsys

import numpy as np
from numpy.typing import NDArray

from training.simulator.body import Floats
from training.simulator.camera import ParallelView, TurningView
from training.simulator.canvas import Canvas, FlatCanvas
from training.simulator.looks import Colour, Pixels

_TILE = 96  # cells of the pattern that makes water uneven


def paint_hall(canvas: Canvas, view: TurningView) -> None:
    """Fill the canvas, whose view this is, with floor and wall."""
    rng = canvas.rng
    height, width = canvas.pixels.shape[:2]
    angle = (canvas.top + np.arange(height)) / view.focal  # below the horizon, of each row
    across = (canvas.left + np.arange(width)) / view.focal
    edge = view.distance + rng.uniform(2.5, 9.0)  # of the pool, forward
    wall = edge + rng.uniform(0.6, 5.0)
    up = view.height - wall * np.tan(np.clip(angle, -1.2, 1.2))
    on_wall = (up >= 0) | (angle <= 0)
    if on_wall.any():
        right = across * (wall / np.cos(angle[on_wall]))[:, None]
        canvas.pixels[on_wall] = _wall(rng, up[on_wall], right, view.focal / wall)
    if not on_wall.all():
        below = angle[~on_wall]
        right = across * (view.height / np.sin(below))[:, None]
        forward = view.height / np.tan(below)
        canvas.pixels[~on_wall] = _floor(rng, right, forward, edge)


def _tone(rng: np.random.Generator) -> Colour:
    """Grey as concrete and seats are, or a strong colour as boards and cloth have."""
    value = rng.uniform(25, 215)
    if rng.random() < 0.5:
        warm = rng.uniform(-0.06, 0.06)
        return value * (1 + warm), value, value * (1 - warm)
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.4, 0.95), value / 255)
    return 255 * red, 255 * green, 255 * blue


def _wall(rng: np.random.Generator, up: Floats, right: Floats, zoom: float) -> Pixels:
    """Pixels of rows at heights `up` (h,), whose columns are `right` (h, w)."""
    top, bottom = -int(np.ceil(zoom * up.max())) - 2, 2 - int(np.floor(zoom * up.min()))
    left, end = int(zoom * right.min()) - 2, int(zoom * right.max()) + 2
    sheet = FlatCanvas(ParallelView(0.0, 0.0, zoom), (left, top, end, bottom), rng)
    _stands(sheet, float(up.max()) + 0.1)
    rows = np.rint(-zoom * up).astype(np.int64) - top
    columns = np.rint(zoom * right).astype(np.int64) - left
    seen: Pixels = sheet.pixels[rows[:, None], columns]
    return seen


def _stands(sheet: FlatCanvas, highest: float) -> None:
    """Bands of spectators, boards, plain walls and openings, one above the other, and shapes."""
    rng, low = sheet.rng, 0.0
    palette = [_tone(rng) for _ in range(6)]
    left, right = np.array((sheet.left, sheet.left + sheet.pixels.shape[1])) / sheet.view.zoom
    while low < highest:
        kind = rng.random()
        high = low + rng.uniform(0.25, 2.2)
        if kind < 0.35:
            sheet.crowd(low, high, seat=_tone(rng), cell=int(rng.integers(5, 12)))
        elif kind < 0.55:
            high = low + rng.uniform(0.25, 0.7)
            sheet.banners(low, high, palette)
        else:
            tone = palette[int(rng.integers(len(palette)))]
            shade = rng.uniform(0.6, 1.1)
            sheet.band(low, high, tone, (tone[0] * shade, tone[1] * shade, tone[2] * shade))
            step = rng.uniform(0.3, 1.5)
            if rng.random() < 0.5:  # windows, seats or openings at even distances
                for x in np.arange(left - rng.random(), right, step):
                    sheet.block(x, x + step * 0.6, low + 0.1, high - 0.1, palette[0])
        low = high
    for _ in range(int(rng.integers(5))):
        x, y = rng.uniform(left, right), rng.uniform(0, highest)
        corners = rng.uniform(0.2, 2.0, 4)[:, None] * ((1, 0), (0, 1), (-1, 0), (0, -1))
        quad = [(x + dx, y + dy, 0.0) for dx, dy in corners]
        sheet.quad(quad, _tone(rng))


def _floor(rng: np.random.Generator, right: Floats, forward: Floats, edge: float) -> Pixels:
    """Pixels of rows at distances `forward` (h,), whose columns are `right` (h, w)."""
    blue = rng.uniform(180, 255)
    water = np.array((blue * rng.uniform(0.05, 0.4), blue * rng.uniform(0.45, 0.8), blue))
    far = forward[:, None] + np.zeros_like(right)
    shade = 1 + rng.uniform(-0.35, 0.25) * (forward - forward.min()) / max(np.ptp(forward), 1.0)
    image: NDArray[np.float64] = water * shade[:, None, None] + _ripples(rng, right, far)[..., None]
    turn = rng.normal(0, 0.12) + (np.pi / 2 if rng.random() < 0.7 else 0.0)
    for turned, chance in ((turn, 0.8), (turn + np.pi / 2, 0.35)):
        if rng.random() < chance:
            spacing, wide = rng.uniform(1.0, 2.2), rng.uniform(0.05, 0.22)
            along = right * np.sin(turned) + far * np.cos(turned) + rng.uniform(0, spacing)
            dark = rng.random() < 0.75
            colour = water * rng.uniform(0.3, 0.6) if dark else np.array((205.0, 216.0, 222.0))
            image[np.mod(along, spacing) < wide] = colour
    if rng.random() < 0.3:  # rings, as emblems on the floor have
        for _ in range(int(rng.integers(1, 6))):
            x, z = rng.normal(0, 1.5), rng.uniform(forward.min(), edge)
            ring = np.hypot(right - x, far - z)
            radius = rng.uniform(0.2, 0.6)
            image[np.abs(ring - radius) < 0.05] = water * 0.45
    deck = np.array(_tone(rng))
    rows = forward > edge
    image[rows] = deck * rng.uniform(0.9, 1.1, (int(rows.sum()), 1, 1))
    image[(forward > edge) & (forward < edge + 0.25)] = 210
    return np.clip(image, 0, 255).astype(np.uint8)


def _ripples(rng: np.random.Generator, right: Floats, far: Floats) -> Floats:
    """Light and dark on the water, (h, w) grey levels."""
    strength, size = rng.uniform(1, 9), rng.uniform(5, 16)
    tile = rng.normal(0, strength, (_TILE, _TILE))
    tile += np.roll(tile, 1, axis=0) + np.roll(tile, 1, axis=1)
    rows, columns = (np.floor(size * axis).astype(np.int64) % _TILE for axis in (far, right))
    rippled: Floats = tile[rows, columns] / np.sqrt(3)
    return rippled
