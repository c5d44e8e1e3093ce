"""The hall that a turning camera sees: where its floor and its wall meet, and what is on them."""

import numpy as np

from training.simulator.camera import TurningView
from training.simulator.canvas import Canvas
from training.simulator.hall import paint_hall

VIEW = TurningView(0.0, 8.0, 6.0, 900.0)


def painted(seed: int) -> np.ndarray:
    canvas = Canvas(VIEW, (-200, -250, 200, 900), np.random.default_rng(seed))
    paint_hall(canvas, VIEW)
    return canvas.pixels


def test_every_row_is_painted_and_the_same_seed_paints_the_same() -> None:
    first = painted(1)
    assert (first.max(axis=(1, 2)) > 0).all()
    np.testing.assert_array_equal(first, painted(1))
    assert (first != painted(2)).mean() > 0.5


def test_below_is_water_and_above_is_not() -> None:
    """The camera looks at the water where the dive ends, about 37 degrees below the horizon."""
    entry = round(float(VIEW.project(np.zeros(3))[1]) + 250)
    for seed in range(12):
        pixels = painted(seed).astype(np.float64)
        red, _, blue = pixels[entry - 40 : entry + 40].mean(axis=(0, 1))
        assert blue > 1.4 * red


def test_lines_on_the_floor_run_together_in_the_distance() -> None:
    """The colours of a row vary as fast as it is far away: perspective, not a plain texture."""
    ratios = []
    for seed in range(30):
        pixels = painted(seed).astype(np.float64).mean(axis=-1)
        near, far = (np.abs(np.diff(pixels[r : r + 60], axis=1)).mean() for r in (1050, 520))
        ratios.append(far / max(near, 1e-6))
    assert np.median(ratios) > 1.1
