"""Batches made in a GPU's memory against those of the CPU; the arithmetic runs on the CPU here."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.spec import DIVING, ClipSpec
from tests.clips import clip_of, lossless, moving_square, numbered
from tests.devices import DEVICES
from training.data.augment import Augmentation
from training.data.batches import Batch, Batches, Variation
from training.data.cache import ClipCache, open_cache
from training.data.resident_clips import ResidentClips

EXACT = Augmentation(flip=0.5, colour=0.3, low_frame_rate=0.5)
EVERYTHING = dataclasses.replace(EXACT, zoom=0.3)


@pytest.fixture(scope="module", params=["start", "end"])
def spec(request: pytest.FixtureRequest) -> ClipSpec:
    return dataclasses.replace(DIVING.with_size((32, 40), (32, 40)), pad=request.param)


@pytest.fixture(scope="module")
def cache(spec: ClipSpec, tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    """Of clips that are shorter than T, as long, longer, and one whose second half is black."""
    folder = tmp_path_factory.mktemp("clips")
    dark = moving_square(151, 90, 120)
    dark[80:] = 0
    clips = {
        "short": lossless(numbered(100, 40, 48)),
        "whole": clip_of(moving_square(151, 90, 120), options={"preset": "ultrafast"}),
        "long": lossless(numbered(180, 40, 48)),
        "dark": lossless(dark),
    }
    paths = []
    for name, content in clips.items():
        paths.append(folder / f"{name}.mp4")
        paths[-1].write_bytes(content)
    return open_cache(paths, spec, tmp_path_factory.mktemp("cache"), workers=1)


def both(
    cache: ClipCache, spec: ClipSpec, augmentation: Augmentation, device: str, epoch: int
) -> tuple[Batch, Batch]:
    """The same batch of all clips, by the CPU's path and on a device."""
    batches = Batches(
        cache=cache,
        spec=spec,
        clips=np.arange(4),
        count=1,
        leader=np.arange(4),
        variation=Variation(shift=True, blanking=0.3, augmentation=augmentation),
        epoch=epoch,
    )
    there = dataclasses.replace(batches, resident=ResidentClips.copied(cache, device))
    return batches.batch(0), there.batch(0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("augmentation", [Augmentation(), EXACT], ids=["plain", "looks"])
def test_batches_are_the_same_where_no_window_is_scaled(
    cache: ClipCache, spec: ClipSpec, augmentation: Augmentation, device: str
) -> None:
    for epoch in range(6):
        ours, there = both(cache, spec, augmentation, device, epoch)
        assert there.draws == ours.draws
        assert there.fragments.device.type == device
        assert torch.equal(there.shown, ours.shown)
        # A colour that falls on a half is rounded in double precision on the CPU.
        off = (there.fragments.cpu().int() - ours.fragments.int()).abs()
        assert off.max() <= (0 if augmentation.is_off else 1)
        assert (off > 0).float().mean() < 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_a_scaled_window_differs_by_rounding_alone(
    cache: ClipCache, spec: ClipSpec, device: str
) -> None:
    for epoch in range(6):
        ours, there = both(cache, spec, EVERYTHING, device, epoch)
        assert torch.equal(there.shown, ours.shown)
        off = (there.fragments.cpu().int() - ours.fragments.int()).abs().float()
        assert off.max() <= 3  # a level before the colour's gain, half of one after it
        assert off.mean() < 0.2


def test_on_a_cpu_clips_stay_in_the_cache(cache: ClipCache) -> None:
    assert ResidentClips.where_they_fit(cache, "cpu") is None


def test_clips_that_do_not_fit_into_the_gpu_stay_in_the_cache(
    cache: ClipCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need = cache.frames.nbytes
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2 * need - 2, 4 * need))
    assert ResidentClips.where_they_fit(cache, "cuda") is None
