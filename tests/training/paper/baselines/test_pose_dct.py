"""Pose+DCT against the transform written out, and what may not count."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.spec import DIVING, SKATING, VAULT, ClipSpec
from training.paper.baselines.pose_dct import Window, describe, interpolated

RATE = Fraction(30)
FRAMES, COEFFICIENTS = 90, 30  # of a dive


def joints(frames: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(frames, 17, 2))


def smooth(frames: int, seed: int = 0) -> NDArray[np.float64]:
    return np.cumsum(joints(frames, seed), axis=0) / 10


def test_coefficients_by_hand() -> None:
    """|Σ x_t cos(π k (2t + 1) / 2F)| · √(2/F) (√(1/F) for k = 0), over √F, of the last F frames."""
    path = joints(120)
    relative = (path[:, 5, 1] - path[:, 0, 1])[-FRAMES:]  # left shoulder, downwards, from the nose
    described = describe(path, RATE, DIVING).reshape(COEFFICIENTS, 17, 2)
    times = np.arange(FRAMES)
    for k in (0, 1, 7, 29):
        total = (relative * np.cos(np.pi * k * (2 * times + 1) / (2 * FRAMES))).sum()
        scale = np.sqrt((1 if k == 0 else 2) / FRAMES) / np.sqrt(FRAMES)
        np.testing.assert_allclose(described[k, 5, 1], abs(total) * scale)
    assert not described[:, 0].any()  # the head does not move against itself


def test_place_and_what_comes_before_or_after_do_not_count() -> None:
    dive = smooth(100)
    wanted = describe(dive, RATE, DIVING)
    np.testing.assert_allclose(
        describe(dive + np.array([40.0, -7.0]), RATE, DIVING), wanted, atol=1e-9
    )
    standing = np.concatenate([np.repeat(dive[:1], 45, axis=0), dive])
    np.testing.assert_allclose(describe(standing, RATE, DIVING), wanted)
    below = np.concatenate([dive, np.full((20, 17, 2), np.nan)])
    np.testing.assert_allclose(describe(below, RATE, DIVING), wanted)


def test_the_rate_of_the_file_does_not_count() -> None:
    dive = smooth(100)
    between = (dive[1:] + dive[:-1]) / 2
    twice = np.empty((199, 17, 2))
    twice[::2], twice[1::2] = dive, between
    np.testing.assert_allclose(
        describe(twice, Fraction(60), DIVING), describe(dive, RATE, DIVING), atol=1e-9
    )


def test_before_the_first_frame_joints_lie_on_the_head() -> None:
    dive = smooth(40)
    relative = dive - dive[:, :1]
    filled = np.concatenate([np.zeros((FRAMES - 40, 17, 2)), relative])
    np.testing.assert_allclose(describe(dive, RATE, DIVING), describe(filled, RATE, DIVING))


@pytest.mark.parametrize(
    ("spec", "window"),
    [(DIVING, Window(90, 30)), (VAULT, Window(100, 50)), (SKATING, Window(900, 50))],
)
def test_other_actions_are_described_whole(spec: ClipSpec, window: Window) -> None:
    assert Window.of(spec) == window
    for frames in (20, 1000):
        assert describe(joints(frames), spec.fps, spec).shape == (window.coefficients * 34,)


def test_unknown_joints_are_interpolated() -> None:
    values = np.array([[np.nan, 1.0, np.nan], [2.0, np.nan, np.nan], [4.0, 5.0, np.nan]])
    expected = [[2.0, 1.0, 0.0], [2.0, 3.0, 0.0], [3.0, 4.0, 0.0], [4.0, 5.0, 0.0]]
    at = np.array([0.0, 1.0, 1.5, 2.0])
    np.testing.assert_array_equal(interpolated(values, at), expected)
