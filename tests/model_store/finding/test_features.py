"""What a few numbers say of a frame."""

import numpy as np
import pytest

from model_store.finding.features import BLOCKS, FEATURES, GRID, features_of, parts_of
from tests.clips import moving_square

CHANGE = 24 + 2 * BLOCKS  # first of the numbers of change
WHOLE = CHANGE + 3 * BLOCKS * BLOCKS  # motion of the whole picture, down and right


def test_parts_are_means() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 48, 3), dtype=np.uint8)
    parts = parts_of(frames)
    assert parts.shape == (3, GRID, GRID, 3)
    expected = frames[:, 4:8, 6:9].mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(parts[:, 1, 2], expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 40), (72, 96), (112, 112), (250, 250)])
def test_any_size_has_the_same_numbers(size: tuple[int, int]) -> None:
    white = np.full((4, *size, 3), 255, np.uint8)
    parts = parts_of(white)
    np.testing.assert_allclose(parts, 1.0, atol=1e-6)
    features = features_of(parts)
    assert features.shape == (4, FEATURES)
    assert np.isfinite(features).all()


def test_piece_by_piece_gives_the_same() -> None:
    parts = parts_of(moving_square(30, 64, 64))
    whole = features_of(parts)
    pieces = features_of(parts[9:])
    np.testing.assert_allclose(whole[10:], pieces[1:], atol=1e-6)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 1), (-1, 0), (0.5, -0.5)])
def test_motion_of_the_whole_picture(down: float, right: float) -> None:
    y, x = np.mgrid[:GRID, :GRID]

    def picture(t: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        at_y, at_x = y - down * t, x - right * t
        return np.asarray(0.5 + 0.2 * np.sin(at_y / 2.0) + 0.2 * np.sin(at_x / 2.5 + 1))

    levels = np.stack([picture(t) for t in range(6)])[..., None].repeat(3, axis=3)
    found = features_of(levels.astype(np.float32))[1:, WHOLE : WHOLE + 2]
    np.testing.assert_allclose(found, np.tile([down, right], (5, 1)), atol=0.15)


def test_a_still_has_no_change_and_a_cut_has_much() -> None:
    still = np.full((10, 32, 32, 3), 60, np.uint8)
    still[5:] = 200
    change = features_of(parts_of(still))[:, CHANGE]
    assert change[:5].max() == change[6:].max() == 0
    assert change[5] > 1
