"""An ice rink: the ice with its lines, boards with banners, spectators."""

import numpy as np

from training.simulator.body import Floats
from training.simulator.canvas import FlatCanvas
from training.simulator.looks import Colour
from training.simulator.skating_path import HALF_DEPTH, HALF_LENGTH

BOARDS = 0.62  # body heights
_RED: Colour = (196, 70, 74)
_BLUE: Colour = (74, 96, 176)
_ADVERTISERS: tuple[Colour, ...] = (
    (220, 224, 228), (24, 50, 130), (170, 30, 50), (232, 232, 232), (30, 110, 90), (226, 190, 60),
)  # fmt: skip


def paint_rink(canvas: FlatCanvas) -> None:
    # Drawn before anything that depends on the view: cuts must not change the rink.
    rng = canvas.rng
    tone, dark, stand = rng.uniform((168, 36, 1.8), (200, 100, 3.4))
    disc, traces = rng.uniform(60, 200, 3), rng.random((160, 5))
    sine = float(np.sin(np.deg2rad(canvas.view.pitch)))
    far = HALF_DEPTH * sine
    bottom = -(canvas.top + len(canvas.pixels)) / canvas.view.zoom
    top = -canvas.top / canvas.view.zoom
    ice: Colour = (tone * 0.93, tone * 0.99, tone * 1.05)
    canvas.band(min(bottom, far), far, (ice[0] + 14, ice[1] + 12, ice[2] + 10), ice)
    canvas.grain(min(bottom, far), far, 5)
    _lines(canvas, (float(disc[0]), float(disc[1]), float(disc[2])))
    _scratches(canvas, traces)
    canvas.band(far, far + 0.07, (206, 180, 60), (226, 200, 80))
    canvas.band(far + 0.07, far + BOARDS, (214, 218, 222), (226, 228, 230))
    canvas.banners(far + 0.12, far + BOARDS - 0.1, _ADVERTISERS)
    seats = far + BOARDS + stand
    canvas.crowd(far + BOARDS, seats, seat=(dark * 0.9, dark * 0.9, dark))
    canvas.band(seats, max(top, seats), (dark * 0.4,) * 3, (dark * 0.7,) * 3)


def _lines(canvas: FlatCanvas, disc: Colour) -> None:
    """The lines of ice hockey, and a disc in the middle."""
    for x, wide, colour in (
        (0.0, 0.09, _RED), (-5.2, 0.09, _BLUE), (5.2, 0.09, _BLUE), (-13.0, 0.04, _RED),
        (13.0, 0.04, _RED),
    ):  # fmt: skip
        canvas.quad(
            [(x - wide, 0, -HALF_DEPTH), (x + wide, 0, -HALF_DEPTH),
             (x + wide, 0, HALF_DEPTH), (x - wide, 0, HALF_DEPTH)],
            colour,
        )  # fmt: skip
    canvas.quad(_circle(0, 0, 1.5), disc)
    for x, z in ((-9.0, -3.4), (-9.0, 3.4), (9.0, -3.4), (9.0, 3.4)):
        canvas.quad(_circle(x, z, 0.3), _RED)
        _ring(canvas, x, z, 2.2)


def _circle(x: float, z: float, radius: float) -> list[tuple[float, float, float]]:
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [(x + radius * float(np.cos(a)), 0.0, z + radius * float(np.sin(a))) for a in around]


def _ring(canvas: FlatCanvas, x: float, z: float, radius: float) -> None:
    inner, outer = _circle(x, z, radius - 0.04), _circle(x, z, radius + 0.04)
    for i in range(len(inner)):
        canvas.quad([inner[i - 1], outer[i - 1], outer[i], inner[i]], _RED)


def _scratches(canvas: FlatCanvas, traces: Floats) -> None:
    """Traces of skates: (N, 5), 0…1."""
    low = (-HALF_LENGTH, -HALF_DEPTH, 0.5, -0.9, 0.0)
    high = (HALF_LENGTH, HALF_DEPTH, 2.2, 0.9, 1.0)
    for x, z, along, slope, bright in (low + traces * np.subtract(high, low)).tolist():
        light = 222.0 if bright > 0.5 else 172.0
        canvas.quad(
            [(x, 0, z), (x + along, 0, z + slope * along),
             (x + along, 0, z + slope * along + 0.08), (x, 0, z + 0.08)],
            (light, light + 4, light + 8),
        )  # fmt: skip
