"""What a step eats: with everything off, bit for bit what the service scores."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.clip import cut, load_clip
from model_store.spec import DIVING, ClipSpec
from tests.clips import clip_of, lossless, moving_square, numbered
from training.data.augment import Augmentation
from training.data.batches import Batches, Variation, full
from training.data.cache import ClipCache, open_cache
from training.data.pairs import divided, shuffled
from training.errors import DataError

NO_VARIATION = Variation(shift=False, blanking=0.0, augmentation=Augmentation())
ALL_ON = Variation(
    shift=True,
    blanking=0.6,
    augmentation=Augmentation(flip=0.5, colour=0.2, zoom=0.1, low_frame_rate=0.5),
)


@pytest.fixture(scope="module")
def spec() -> ClipSpec:
    return DIVING.with_size((32, 40), (32, 32))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Shorter than T, exactly T, longer, and of another size and rate."""
    folder = tmp_path_factory.mktemp("clips")
    clips = {
        "short": lossless(numbered(100, 40, 48)),
        "whole": lossless(numbered(151, 40, 48)),
        "long": lossless(numbered(180, 40, 48)),
        "fast": clip_of(moving_square(120, 90, 60), fps=60, options={"preset": "ultrafast"}),
    }
    for name, content in clips.items():
        (folder / f"{name}.mp4").write_bytes(content)
    return [folder / f"{name}.mp4" for name in clips]


@pytest.fixture(scope="module")
def cache(
    sources: list[Path], spec: ClipSpec, tmp_path_factory: pytest.TempPathFactory
) -> ClipCache:
    return open_cache(sources, spec, tmp_path_factory.mktemp("cache"), workers=1)


def batches_of(cache: ClipCache, spec: ClipSpec, **options: Any) -> Batches:
    """Of all four clips, none of which is in a pair, without variation."""
    every = np.arange(4)
    usual: dict[str, Any] = {"clips": every, "leader": every, "variation": NO_VARIATION}
    return Batches(cache=cache, spec=spec, **(usual | options))


def test_training_without_augmentation_sees_what_the_service_sees(
    sources: list[Path], spec: ClipSpec, cache: ClipCache
) -> None:
    [batch] = batches_of(cache, spec, count=1)
    served = np.stack([load_clip(source, spec) for source in sources])
    np.testing.assert_array_equal(batch.fragments.numpy(), cut(served, spec))
    blank = cut(served, spec).reshape(4, spec.fragments, -1).max(axis=-1) == 0
    np.testing.assert_array_equal(batch.shown.numpy(), ~blank)
    assert blank[0].sum() == 2  # frames 100…150 of the short clip are padding
    assert not blank[1].any()


def test_the_start_shift_moves_the_cut(
    sources: list[Path], spec: ClipSpec, cache: ClipCache
) -> None:
    variation = Variation(shift=True, blanking=0.0, augmentation=Augmentation())
    batches = batches_of(cache, spec, clips=np.array([1]), count=1, variation=variation)
    starts = set()
    for epoch in range(60):
        start = variation.draw(spec, 0, (epoch, 0), 1).start
        starts.add(start)
        batch = dataclasses.replace(batches, epoch=epoch).batch(0)
        served = load_clip(sources[1], spec)[None]
        np.testing.assert_array_equal(batch.fragments.numpy(), cut(served, spec, start))
    assert starts == {0, 1, 2, 3, 4, 5}


def test_an_epoch_takes_every_clip_once_in_another_order(spec: ClipSpec, cache: ClipCache) -> None:
    first, second = (
        np.concatenate(
            [batch.clips for batch in batches_of(cache, spec, count=2, epoch=epoch, seed=5)]
        )
        for epoch in (0, 3)
    )
    assert sorted(first) == sorted(second) == [0, 1, 2, 3]
    assert list(first) != list(second)


def test_an_epoch_entered_in_the_middle_is_the_same_epoch(spec: ClipSpec, cache: ClipCache) -> None:
    epoch = batches_of(cache, spec, count=4, variation=ALL_ON, epoch=2, seed=1)
    whole, rest = list(epoch), list(epoch.begin_at(2))
    assert len(whole) == 4
    for a, b in zip(whole[2:], rest, strict=True):
        assert a.draws == b.draws
        assert torch.equal(a.fragments, b.fragments)
        assert torch.equal(a.shown, b.shown)


def test_every_number_of_fragments_gets_hidden(spec: ClipSpec) -> None:
    variation = Variation(shift=False, blanking=0.5, augmentation=Augmentation())
    draws = [variation.draw(spec, 0, (0, 0), clip) for clip in range(4000)]
    counts = Counter(len(draw.hidden) for draw in draws)
    assert set(counts) == set(range(10))
    assert 0.45 < counts[0] / 4000 < 0.55
    assert all(160 < counts[k] < 290 for k in range(1, 10))  # 222 expected, deviation 14.5
    hidden = Counter(k for draw in draws for k in draw.hidden)
    assert max(hidden.values()) < 1.2 * min(hidden.values())


def test_hidden_fragments_are_not_shown(spec: ClipSpec, cache: ClipCache) -> None:
    variation = Variation(shift=False, blanking=1.0, augmentation=Augmentation())
    for batch in batches_of(cache, spec, count=1, variation=variation, epoch=0):
        for draw, shown in zip(batch.draws, batch.shown, strict=True):
            assert not shown[list(draw.hidden)].any()


@pytest.mark.parametrize(("clips", "size"), [(108, 64), (40, 8), (9, 4), (17, 16)])
def test_no_clip_of_an_epoch_is_left_out_and_no_batch_is_a_remainder(clips: int, size: int) -> None:
    batches = divided(np.arange(clips), full(clips, size), np.arange(clips))
    assert np.concatenate(batches).tolist() == list(range(clips))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_ladders_are_not_parted() -> None:
    leader = np.array([0, 0, 0, 0, 4, 4, 6, 7, 8])  # a ladder, a pair, three clips of their own
    for seed in range(20):
        order = shuffled(np.random.default_rng(seed), np.arange(9), leader)
        for count in (1, 2):
            batches = divided(order, count, leader)
            assert len(batches) == count
            assert sorted(np.concatenate(batches)) == list(range(9))
            for clips in batches:
                assert abs(len(clips) - 9 / count) <= 3
                assert {int(leader[clip]) for clip in clips} <= {int(clip) for clip in clips}


def test_batches_that_are_smaller_than_a_ladder() -> None:
    leader = np.array([0, 0, 0, 0, 4])
    order = shuffled(np.random.default_rng(0), np.arange(5), leader)
    with pytest.raises(DataError, match="5 clips in 3 batches, which are too small"):
        divided(order, 3, leader)
