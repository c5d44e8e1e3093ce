"""What the recording does to a picture: the blur of panning, softness, stale frames."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from training.simulator.clip import simulate_clip
from training.simulator.looks import HEIGHT, WIDTH, Looks, draw_looks, graded
from training.simulator.recording import Recording
from training.simulator.seeds import stream


def clean_looks(**changed: Any) -> Looks:
    """Without noise, graphics and mirroring."""
    drawn = draw_looks("diving", np.random.default_rng(0), camera="tilts", style="broadcast")
    values: dict[str, Any] = {"noise": 0.0, "overlay": False, "mirrored": False, "softness": 1.0}
    return dataclasses.replace(drawn, **values | changed)


def recording(**changed: Any) -> Recording:
    return Recording(clean_looks(**changed), 1, np.random.default_rng(0))


def test_a_tilt_blurs_along_its_way_and_no_further() -> None:
    backdrop = np.zeros((HEIGHT + 40, WIDTH, 3), np.uint8)
    backdrop[HEIGHT // 2] = 240  # one bright line
    seen = recording(pan_blur=0.5).pan(backdrop, np.array((0, 30)), np.array((0, 0)))
    rows = np.flatnonzero(seen[:, 0, 0])
    # the shutter is open for half of 30 pixels: the line comes from where it was 15 rows lower
    assert (rows.min(), rows.max()) == (HEIGHT // 2 - 30, HEIGHT // 2 - 15)
    assert seen[:, 0, 0].sum() == pytest.approx(240, rel=0.1)  # light is spread, not lost


def test_a_camera_at_rest_does_not_blur() -> None:
    backdrop = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    still = np.array((0, 0))
    np.testing.assert_array_equal(recording(pan_blur=1.0).pan(backdrop, still, still), backdrop)


def test_softness_takes_fine_detail_and_leaves_the_coarse() -> None:
    fine = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    fine[:, ::2] = 200
    coarse = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    coarse[:, WIDTH // 2 :] = 200
    soft, sharp = recording(softness=0.45), recording()
    np.testing.assert_array_equal(sharp.finish(fine, 0), fine)
    assert soft.finish(fine, 0).std() < 0.35 * fine.std()
    assert soft.finish(coarse, 0).std() == pytest.approx(coarse.std(), rel=0.05)


def test_saturation_moves_colours_from_grey_and_leaves_grey_alone() -> None:
    pixels = np.array([[(60, 120, 180), (120, 120, 120)]], np.uint8)
    plain, strong = (
        graded(pixels, clean_looks(saturation=factor, gamma=1.0, gain=(1.0, 1.0, 1.0)))
        for factor in (1.0, 1.5)
    )
    np.testing.assert_array_equal(plain, pixels)
    np.testing.assert_array_equal(strong[0, 1], pixels[0, 1])
    np.testing.assert_allclose(strong[0, 0], (30, 120, 210), atol=1)


def test_some_clips_begin_with_a_frame_of_another_shot() -> None:
    drawn = [draw_looks("diving", stream(3, i, "looks"), style="broadcast") for i in range(200)]
    stale = [looks.stale for looks in drawn]
    assert 0.2 < np.mean(np.array(stale) > 0) < 0.4
    clip = simulate_clip("diving", 3, stale.index(1), style="broadcast")
    frames = clip.frames.astype(np.int16)
    steps = np.abs(np.diff(frames[:4], axis=0)).mean(axis=(1, 2, 3))
    assert steps[0] > 4 * steps[1:].max()
    assert np.isnan(clip.joints[0]).all()
    assert not np.isnan(clip.joints[1]).all()
    # what an athlete does wrong is not to be seen there
    faulty = simulate_clip(
        "diving", 3, stale.index(1), faults={"unsteady_start": 0.9}, style="broadcast"
    )
    np.testing.assert_array_equal(faulty.frames[0], clip.frames[0])
