"""Pose+DCT against the transform written out."""

import numpy as np
from numpy.typing import NDArray

from training.paper.baselines.pose_dct import COEFFICIENTS, describe, interpolated


def joints(frames: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(frames, 17, 2))


def test_coefficients_by_hand() -> None:
    """|Σ x_t cos(π k (2t + 1) / 2T)| · √(2/T) (√(1/T) for k = 0), over √T."""
    path, frames = joints(60), 60
    relative = path[:, 5, 1] - path[:, 0, 1]  # left shoulder, downwards, from the nose
    described = describe(path).reshape(COEFFICIENTS, 17, 2)
    times = np.arange(frames)
    for k in (0, 1, 7, 49):
        total = (relative * np.cos(np.pi * k * (2 * times + 1) / (2 * frames))).sum()
        scale = np.sqrt((1 if k == 0 else 2) / frames) / np.sqrt(frames)
        np.testing.assert_allclose(described[k, 5, 1], abs(total) * scale)
    assert not described[:, 0].any()  # the head does not move against itself


def test_place_does_not_count_and_length_hardly() -> None:
    path = np.cumsum(joints(90), axis=0) / 10
    np.testing.assert_allclose(describe(path + np.array([40.0, -7.0])), describe(path), atol=1e-9)
    slow = np.repeat(path, 2, axis=0)  # the same routine at twice the frame rate
    np.testing.assert_allclose(
        describe(slow).reshape(COEFFICIENTS, -1)[:8],
        describe(path).reshape(COEFFICIENTS, -1)[:8],
        atol=0.05,
    )


def test_short_clips_have_as_many_values() -> None:
    assert describe(joints(20)).shape == describe(joints(200)).shape == (COEFFICIENTS * 34,)


def test_unknown_joints_are_interpolated() -> None:
    values = np.array([[np.nan, 1.0, np.nan], [2.0, np.nan, np.nan], [4.0, 5.0, np.nan]])
    expected = [[2.0, 1.0, 0.0], [2.0, 3.0, 0.0], [4.0, 5.0, 0.0]]
    np.testing.assert_array_equal(interpolated(values), expected)
