"""Looks of a clip: what each part of one does to pixels that are known."""

import dataclasses

import numpy as np
import pytest

from tests.clips import Frames
from training.data.augment import MIRRORED, Augmentation, Look

UNCHANGED = Look(flip=False, window=(0, 0, 12, 16), gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0))


@pytest.fixture
def frames() -> Frames:
    return np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)


def test_nothing_switched_on_is_no_look() -> None:
    assert Augmentation().draw(np.random.default_rng(0), (12, 16)) is None


def test_an_unchanged_look_changes_nothing(frames: Frames) -> None:
    look = UNCHANGED
    np.testing.assert_array_equal(look.apply(frames), frames)


def test_flip_exchanges_left_and_right(frames: Frames) -> None:
    look = dataclasses.replace(UNCHANGED, flip=True)
    np.testing.assert_array_equal(look.apply(frames), frames[:, :, ::-1])
    joints = np.random.default_rng(1).normal(size=(4, 17, 2)).astype(np.float32)
    mirrored = look.mirror(joints)
    np.testing.assert_array_equal(mirrored[:, 5], joints[:, 6] * (-1, 1))  # shoulders
    np.testing.assert_array_equal(look.mirror(mirrored), joints)
    assert sorted(MIRRORED) == list(range(17))


def test_colour_is_gain_and_offset_of_each_channel(frames: Frames) -> None:
    look = Look(flip=False, window=(0, 0, 12, 16), gain=(1.0, 0.5, 2.0), offset=(10.0, 0.0, -100.0))
    values = frames.astype(float) * (1.0, 0.5, 2.0) + (10.0, 0.0, -100.0)
    np.testing.assert_array_equal(look.apply(frames), np.clip(np.rint(values), 0, 255))


def test_a_window_is_scaled_to_the_whole_frame() -> None:
    halves = np.zeros((2, 8, 8, 3), np.uint8)
    halves[:, :, 4:] = 200
    right = dataclasses.replace(UNCHANGED, window=(2, 4, 4, 4)).apply(halves)
    assert right.shape == halves.shape
    np.testing.assert_array_equal(right, 200)


def test_draws_follow_the_seed_and_stay_in_range(frames: Frames) -> None:
    augmentation = Augmentation(flip=0.5, colour=0.3, zoom=0.25)
    looks = [augmentation.draw(np.random.default_rng(seed), (12, 16)) for seed in range(200)]
    assert augmentation.draw(np.random.default_rng(7), (12, 16)) == looks[7]
    assert 60 < sum(look is not None and look.flip for look in looks) < 140
    for look in looks:
        assert look is not None
        top, left, height, width = look.window
        assert 9 <= height <= 12
        assert 12 <= width <= 16
        assert 0 <= top <= 12 - height
        assert 0 <= left <= 16 - width
        assert look.apply(frames).shape == frames.shape
