import dataclasses

import numpy as np
import pytest

from training.simulator.body import keyframes
from training.simulator.camera import ParallelView
from training.simulator.looks import draw_looks
from training.simulator.motion import oriented
from training.simulator.rasterise import BodyPainter, _capsule

LIGHT = np.array((0.0, 1.0))


def test_a_capsule_covers_its_area() -> None:
    x = np.arange(-30, 90, dtype=np.float32)
    y = np.arange(-30, 70, dtype=np.float32)
    alpha, _ = _capsule(x, y, np.array((36.0, 27.0)), np.array((8.0, 8.0)), LIGHT)
    assert alpha.sum() == pytest.approx(np.pi * 8**2 + 2 * 8 * 45, rel=0.01)


def test_a_ball_is_round() -> None:
    x = np.arange(-20, 21, dtype=np.float32)
    alpha, _ = _capsule(x, x, np.array((0.0, 0.0)), np.array((9.0, 9.0)), LIGHT)
    assert alpha.sum() == pytest.approx(np.pi * 9**2, rel=0.02)


def body(height: float) -> tuple[int, np.ndarray]:
    """Pixels covered by an upright body whose centre is `height` above the water."""
    looks = draw_looks("diving", np.random.default_rng(0), camera="follows")
    looks = dataclasses.replace(looks, zoom=140.0)
    pose = keyframes([(0, {"ankle": 90}), (1, {})], 1)
    points = oriented(pose, np.zeros(1), np.zeros(1))[0] + (0, height, 0)
    pixels = ParallelView(0.0, 0.0, looks.zoom).project(points)
    pixels[:, :2] += (160, 120 + height * looks.zoom)
    frame = np.full((240, 320, 3), 100, np.uint8)
    covered = BodyPainter(looks).draw(frame, pixels, looks.zoom, points[:, 1])
    return covered, frame


def test_the_water_hides_what_is_below_it() -> None:
    whole, frame = body(5.0)
    half, _ = body(0.0)
    gone, untouched = body(-5.0)
    assert 0.03 < whole / frame[..., 0].size < 0.08
    assert 0.4 < half / whole < 0.75
    assert gone == 0
    assert (untouched == 100).all()
    assert (frame != 100).any(axis=-1).sum() >= whole
