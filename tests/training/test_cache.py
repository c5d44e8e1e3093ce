"""Decoded clips are what `decode` gives, once, and survive a kill."""

import dataclasses

import numpy as np
import pytest

import training.cache
from model_store.clip import decode
from tests.clips import clip_of, numbered
from training.cache import cache_key, open_cache
from training.errors import DataError


@pytest.fixture
def sources(tmp_path):
    paths = [tmp_path / f"{i}.mp4" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(clip_of(numbered(20 + 6 * i, first=40 * i)))
    return paths


def test_it_holds_what_decode_gives(sources, spec, tmp_path):
    heard = []
    cache = open_cache(
        sources, spec, tmp_path / "cache", workers=1, progress=lambda *count: heard.append(count)
    )
    assert len(cache) == 5
    for i, source in enumerate(sources):
        expected = decode(source, spec)
        np.testing.assert_array_equal(cache.decoded(i), expected)
        assert cache.frames[i, len(expected) :].sum() == 0
    assert heard[0] == (0, 5)
    assert heard[-1] == (5, 5)
    assert not cache.frames.flags.writeable


def test_it_is_made_once(sources, spec, tmp_path, monkeypatch):
    first = open_cache(sources, spec, tmp_path / "cache", workers=1)
    monkeypatch.setattr(training.cache, "decode", lambda *_: pytest.fail("decoded again"))
    again = open_cache(sources, spec, tmp_path / "cache", workers=1)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.lengths, again.lengths)


def test_several_processes_give_the_same(sources, spec, tmp_path):
    alone = open_cache(sources, spec, tmp_path / "alone", workers=1)
    together = open_cache(sources, spec, tmp_path / "together", workers=2)
    np.testing.assert_array_equal(alone.frames, together.frames)
    np.testing.assert_array_equal(alone.lengths, together.lengths)


def test_the_key_follows_bytes_order_and_decoding(sources, spec):
    key = cache_key(sources, spec)
    assert key == cache_key(sources, dataclasses.replace(spec, pad="start", start=3))
    assert key != cache_key(sources[::-1], spec)
    assert key != cache_key(sources, spec.with_size((48, 48), (32, 32)))
    assert key != cache_key(sources, dataclasses.replace(spec, scaler="bicubic"))
    sources[2].write_bytes(clip_of(numbered(30)))
    assert key != cache_key(sources, spec)


def test_it_goes_on_after_a_kill(sources, spec, tmp_path, monkeypatch):
    decoded = []

    def count(source, spec):
        decoded.append(source)
        if len(decoded) == 3:
            raise KeyboardInterrupt
        return decode(source, spec)

    monkeypatch.setattr(training.cache, "decode", count)
    with pytest.raises(KeyboardInterrupt):
        open_cache(sources, spec, tmp_path / "cache", workers=1)
    cache = open_cache(sources, spec, tmp_path / "cache", workers=1)
    assert decoded == [*sources[:3], *sources[2:]]
    for i, source in enumerate(sources):
        np.testing.assert_array_equal(cache.decoded(i), decode(source, spec))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_clip_is_named(sources, spec, tmp_path, workers):
    sources[3].write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"3\.mp4"):
        open_cache(sources, spec, tmp_path / "cache", workers=workers)


def test_a_missing_clip_is_named(sources, spec, tmp_path):
    sources[1].unlink()
    with pytest.raises(DataError, match=r"1\.mp4 cannot be read"):
        open_cache(sources, spec, tmp_path / "cache")
