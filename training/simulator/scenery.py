"""The places: a pool from the side and from above, a gymnastics hall; the rink is in `rink.py`."""

from collections.abc import Callable

import numpy as np

from training.simulator.camera import Shot, TurningView
from training.simulator.canvas import Canvas, FlatCanvas
from training.simulator.hall import paint_hall
from training.simulator.looks import Colour, Looks, Pixels, graded
from training.simulator.rink import paint_rink

_BANNERS: tuple[Colour, ...] = (
    (24, 50, 130), (200, 205, 215), (20, 110, 130), (90, 100, 120), (12, 24, 60), (60, 120, 180),
)  # fmt: skip
_OVERHEAD = 30.0  # degrees of pitch from which a view shows nothing but water

TABLE_HEIGHT = 0.80
TABLE_HALF = 0.30  # half its length along the run
BOARD = -1.05  # x of the springboard's end
MAT_HEIGHT = 0.10


def paint(action: str, shot: Shot, looks: Looks, rng: np.random.Generator) -> Pixels:
    """The backdrop of a shot, from the left and top of its bounds, graded."""
    view, bounds = shot.view, shot.bounds()
    canvas: Canvas
    if isinstance(view, TurningView):
        canvas = Canvas(view, bounds, rng)
        paint_hall(canvas, view)
        _tower(canvas, looks.platform)
    else:
        canvas = flat = FlatCanvas(view, bounds, rng)
        _PLACES[action](flat, looks)
    return graded(canvas.pixels, looks)


def _water_colour(rng: np.random.Generator) -> Colour:
    shade = rng.uniform(-18, 18)
    return 34 + shade, 118 + shade + rng.uniform(-12, 12), 176 + shade


def _pool(canvas: FlatCanvas, looks: Looks) -> None:
    if canvas.view.pitch > _OVERHEAD:
        _water_from_above(canvas)
        return
    rng = canvas.rng
    sine = float(np.sin(np.deg2rad(canvas.view.pitch)))
    far = (5.0 + 2.5 * rng.random()) * sine  # screen height of the pool's far edge
    bottom = -(canvas.top + len(canvas.pixels)) / canvas.view.zoom
    top = -canvas.top / canvas.view.zoom
    water = _water_colour(rng)
    light = (water[0] + 38, water[1] + 44, water[2] + 32)
    canvas.band(min(bottom, far), far, light, water)
    canvas.grain(min(bottom, far), far, 9)
    rope = 1.1 + 0.5 * rng.random()
    for lane in range(1, 6):
        height = lane * rope * sine
        if height < far:
            _rope(canvas, height)
    deck = far + 0.22
    canvas.band(far, deck, (176, 182, 184), (206, 208, 204))
    fence = deck + 0.42
    canvas.banners(deck, fence, _BANNERS)
    seats = fence + rng.uniform(1.4, 2.6)
    grey = rng.uniform(70, 130)
    canvas.crowd(fence, seats, seat=(grey * 0.7, grey * 0.8, grey))
    canvas.banners(seats, seats + 0.34, _BANNERS)
    above = seats + 0.34
    if looks.indoor:
        tone = rng.uniform(120, 200)
        canvas.band(above, max(top, above), (tone * 0.74, tone * 0.8, tone * 0.86), (tone,) * 3)
        _windows(canvas, above, top)
    else:
        canvas.band(above, max(top, above), (120, 168, 214), (182, 206, 224))
        canvas.grain(above, max(top, above), 1.5)
    _tower(canvas, looks.platform)


def _rope(canvas: FlatCanvas, height: float) -> None:
    """A lane rope across the water."""
    rows = canvas.rows(height - 0.008, height + 0.014)
    strip = canvas.pixels[rows]
    if strip.size:
        dash = (np.arange(strip.shape[1]) // 7) % 3
        strip[:] = np.array(((214, 60, 50), (232, 232, 228), (40, 70, 170)), np.uint8)[dash]


def _windows(canvas: FlatCanvas, low: float, high: float) -> None:
    rng = canvas.rng
    bright = rng.uniform(150, 215)
    width, gap = rng.uniform(0.5, 0.9), rng.uniform(0.25, 0.6)
    row = low + 0.35
    while row < high:
        edge = canvas.left / canvas.view.zoom - rng.random()
        end = (canvas.left + canvas.pixels.shape[1]) / canvas.view.zoom
        while edge < end:
            canvas.block(edge, edge + width, row, row + 0.55, (bright * 0.8, bright * 0.9, bright))
            edge += width + gap
        row += 1.2


def _tower(canvas: Canvas, platform: float) -> None:
    rng = canvas.rng
    tone = rng.uniform(120, 190)
    concrete = (tone, tone * 0.99, tone * 0.95)
    lower = platform * rng.uniform(0.45, 0.6)
    canvas.box((-3.1, -2.1), (0.0, platform - 0.14), (-0.55, 0.35), concrete)
    for height, reach in ((lower, -0.45), (platform, 0.0)):
        canvas.box((-3.4, reach), (height - 0.15, height), (-0.5, 0.5), concrete)
    for post in np.arange(-3.0, -0.7, 0.55):
        canvas.box((post, post + 0.03), (platform, platform + 0.5), (-0.52, -0.5), (205, 208, 210))
    canvas.box((-3.2, -0.75), (platform + 0.47, platform + 0.5), (-0.52, -0.5), (205, 208, 210))


def _water_from_above(canvas: FlatCanvas) -> None:
    rng = canvas.rng
    water = _water_colour(rng)
    bottom = -(canvas.top + len(canvas.pixels)) / canvas.view.zoom
    top = -canvas.top / canvas.view.zoom
    canvas.band(bottom, top, (water[0] + 20, water[1] + 22, water[2] + 14), water)
    canvas.grain(bottom, top, 11)
    dark, pale = (water[0] * 0.5, water[1] * 0.6, water[2] * 0.72), (214.0, 224.0, 228.0)
    along, phase = rng.random() < 0.5, rng.uniform(0, 1.2)
    for lane in range(-5, 6):
        at = lane * 1.3 + phase
        for offset, wide, colour in ((0.0, 0.10, dark), (0.62, 0.035, pale)):
            a, b = at + offset, at + offset + wide
            if along:
                canvas.quad([(a, 0, -9), (b, 0, -9), (b, 0, 9), (a, 0, 9)], colour)
            else:
                canvas.quad([(-9, 0, a), (9, 0, a), (9, 0, b), (-9, 0, b)], colour)


def _gym(canvas: FlatCanvas, looks: Looks) -> None:
    rng = canvas.rng
    sine = float(np.sin(np.deg2rad(canvas.view.pitch)))
    far = (3.2 + 1.8 * rng.random()) * sine
    bottom = -(canvas.top + len(canvas.pixels)) / canvas.view.zoom
    top = -canvas.top / canvas.view.zoom
    floors: tuple[Colour, ...] = (
        (44, 84, 140), (150, 140, 118), (110, 120, 130), (36, 110, 112), (120, 70, 84),
    )  # fmt: skip
    floor = floors[rng.integers(len(floors))]
    canvas.band(min(bottom, far), far, (floor[0] * 0.8, floor[1] * 0.8, floor[2] * 0.8), floor)
    canvas.grain(min(bottom, far), far, 4)
    fence = far + 0.40
    canvas.banners(far, fence, _BANNERS)
    dark = rng.uniform(36, 100)
    seats = fence + rng.uniform(1.6, 3.4)
    canvas.crowd(fence, seats, seat=(dark * 0.9, dark * 0.9, dark))
    canvas.band(seats, max(top, seats), (dark * 0.5,) * 3, (dark * 0.8,) * 3)
    if looks.indoor:
        canvas.banners(seats + 0.3, seats + 0.62, _BANNERS)
    runways: tuple[Colour, ...] = ((36, 60, 150), (70, 74, 84), (160, 60, 60), (190, 180, 150))
    runway = runways[rng.integers(len(runways))]
    canvas.quad([(-12, 0, -0.3), (BOARD, 0, -0.3), (BOARD, 0, 0.3), (-12, 0, 0.3)], runway)
    mats: tuple[Colour, ...] = ((40, 90, 190), (30, 130, 150), (70, 110, 60), (60, 70, 160))
    mat = mats[rng.integers(len(mats))]
    canvas.box((0.75, 4.4), (0.0, MAT_HEIGHT), (-0.75, 0.75), mat)
    for line in (-0.3, 0.3):
        white = [(0.75, MAT_HEIGHT, line), (4.4, MAT_HEIGHT, line)]
        white += [(4.4, MAT_HEIGHT, line + 0.03), (0.75, MAT_HEIGHT, line + 0.03)]
        canvas.quad(white, (222, 224, 226))
    canvas.box((BOARD - 0.45, BOARD + 0.08), (0.0, 0.10), (-0.2, 0.2), (214, 196, 160))
    half = TABLE_HALF
    canvas.box((-0.12, 0.12), (0.0, TABLE_HEIGHT - 0.2), (-0.12, 0.12), (90, 92, 98))
    pad: Colour = (196, 176, 140) if rng.random() < 0.5 else (60, 90, 170)
    canvas.box((-half, half), (TABLE_HEIGHT - 0.2, TABLE_HEIGHT), (-0.28, 0.28), pad)


_PLACES: dict[str, Callable[[FlatCanvas, Looks], None]] = {
    "diving": _pool,
    "vault": _gym,
    "skating": lambda canvas, _: paint_rink(canvas),
}
