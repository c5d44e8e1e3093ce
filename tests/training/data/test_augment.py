"""Looks of a clip: what each part of one does to pixels that are known."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from model_store.clip import decode, read_clip
from model_store.spec import DIVING
from tests.clips import LOSSLESS, Frames, lossless, numbered, numbers
from training.data.augment import MIRRORED, Augmentation, Look, shown_at
from training.measure.stored_copies import STORAGE_VARIANTS, recording_of

SPEC = DIVING.with_size((32, 40), (32, 32))
UNCHANGED = Look(flip=False, window=(0, 0, 12, 16), gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0))


@pytest.fixture
def frames() -> Frames:
    return np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)


def test_nothing_switched_on_is_no_look() -> None:
    assert Augmentation().draw(np.random.default_rng(0), 3, (12, 16)) is None


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
    looks = [augmentation.draw(np.random.default_rng(seed), 3, (12, 16)) for seed in range(200)]
    assert augmentation.draw(np.random.default_rng(7), 3, (12, 16)) == looks[7]
    assert 60 < sum(look is not None and look.flip for look in looks) < 140
    for look in looks:
        assert look is not None
        top, left, height, width = look.window
        assert 9 <= height <= 12
        assert 12 <= width <= 16
        assert 0 <= top <= 12 - height
        assert 0 <= left <= 16 - width
        assert look.apply(frames).shape == frames.shape


def stored(name: str, frames: int) -> bytes:
    """A copy of numbered frames, stored as one of `STORAGE_VARIANTS` and without loss."""
    variant = dataclasses.replace(STORAGE_VARIANTS[name], format="rgb24", **LOSSLESS)
    return variant.store(recording_of(lossless(numbered(frames, 40, 48))))


COPIES = [
    ("24 fps", Fraction(24, 30)),
    ("25 fps", Fraction(25, 30)),
    ("variable rate", Fraction(3, 4)),
]


@pytest.mark.parametrize(("name", "rate"), COPIES)
def test_a_low_frame_rate_is_what_a_stored_copy_shows(name: str, rate: Fraction) -> None:
    """Of a whole video, and of a clip from the middle of one."""
    assert numbers(decode(stored(name, 150), SPEC)) == list(shown_at(rate, 150))
    for earlier in (37, 38):
        copy = read_clip(stored(name, 120), SPEC, start_s=earlier / 30, end_s=(earlier + 60) / 30)
        read = np.array(numbers(copy.frames)) - earlier
        assert read.clip(0, 59).tolist() == list(shown_at(rate, 60, earlier))


def test_at_a_low_frame_rate_no_frame_is_far_from_its_place() -> None:
    for rate in range(200, 291, 5):
        for earlier in range(0, 30, 7):
            shown = np.array(shown_at(Fraction(rate, 300), 151, earlier))
            assert np.abs(shown - np.arange(151)).max() == 1
            assert (np.diff(shown) >= 0).all()
            different = len(np.unique(shown)) / 151
            assert different == pytest.approx(rate / 300, abs=0.02)


def test_a_low_frame_rate_is_drawn_with_its_probability_and_changes_no_other_draw() -> None:
    without = Augmentation(flip=0.5, colour=0.3, zoom=0.25)
    looks = []
    for seed in range(200):
        plain, look = (
            augmentation.draw(np.random.default_rng(seed), 151, (12, 16))
            for augmentation in (without, dataclasses.replace(without, low_frame_rate=0.5))
        )
        assert plain is not None
        assert look is not None
        assert dataclasses.replace(look, shown=None) == plain
        looks.append(look.shown)
    drawn = [shown for shown in looks if shown is not None]
    assert 60 < len(drawn) < 140
    assert len(set(drawn)) > 0.9 * len(drawn)  # rates and phases


def test_a_clip_that_is_shorter_than_its_look_ends_with_its_last_frame() -> None:
    look = dataclasses.replace(UNCHANGED, shown=(0, 0, 2, 4, 4, 5))
    assert numbers(look.apply(numbered(4, 12, 16))) == [0, 0, 2, 3]
