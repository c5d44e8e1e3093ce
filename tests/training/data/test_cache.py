"""Decoded clips are what `decode` gives, once, and survive a kill."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

import training.data.cache
from model_store.clip import decode
from model_store.spec import ClipSpec
from model_store.video.reader import DecodedClip
from tests.clips import clip_of, moving_square, numbered
from training.data.cache import ClipCache, cache_key, open_cache
from training.data.datasets.media import ClipSource
from training.data.file_times import FileTimes, read_timed
from training.errors import DataError


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.mp4" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(clip_of(numbered(20 + 6 * i, first=40 * i)))
    return paths


def assert_same_times(one: ClipCache, other: ClipCache) -> None:
    for index in range(len(one)):
        a, b = one.times(index), other.times(index)
        assert a.length == b.length
        np.testing.assert_array_equal(a.seconds, b.seconds)
        np.testing.assert_array_equal(a.first, b.first)


def test_it_holds_what_decode_gives(sources: list[Path], spec: ClipSpec, tmp_path: Path) -> None:
    calls = []
    cache = open_cache(
        sources, spec, tmp_path / "cache", workers=1, progress=lambda *count: calls.append(count)
    )
    assert len(cache) == 5
    assert list(cache.lengths) == [20, 26, 32, 38, 44]  # T is 36
    for i, source in enumerate(sources):
        expected = decode(source, spec)
        np.testing.assert_array_equal(cache.decoded(i), expected)
        times, frames = cache.times(i), cache.lengths[i]
        assert times.length == frames
        np.testing.assert_array_equal(times.shown, np.arange(frames))
        np.testing.assert_allclose(times.seconds, np.arange(frames) / 30)
        assert cache.frames[i, len(expected) :].sum() == 0
    assert calls[0] == (0, 5)
    assert calls[-1] == (5, 5)
    assert not cache.frames.flags.writeable


def test_it_is_made_once(
    sources: list[Path], spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_cache(sources, spec, tmp_path / "cache", workers=1)
    monkeypatch.setattr(training.data.cache, "read_timed", lambda *_: pytest.fail("decoded again"))
    again = open_cache(sources, spec, tmp_path / "cache", workers=1)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert_same_times(first, again)


def test_several_processes_give_the_same(
    sources: list[Path], spec: ClipSpec, tmp_path: Path
) -> None:
    alone = open_cache(sources, spec, tmp_path / "alone", workers=1)
    together = open_cache(sources, spec, tmp_path / "together", workers=2)
    np.testing.assert_array_equal(alone.frames, together.frames)
    assert_same_times(alone, together)


def test_the_key_follows_bytes_order_and_decoding(sources: list[Path], spec: ClipSpec) -> None:
    key = cache_key(sources, spec)
    assert key == cache_key(sources, dataclasses.replace(spec, pad="start", start=3))
    assert key != cache_key(sources[::-1], spec)
    assert key != cache_key(sources, spec.with_size((48, 48), (32, 32)))
    for other in ({"scaler": "bicubic"}, {"fps": Fraction(25)}, {"colour_order": "bgr"}):
        assert key != cache_key(sources, dataclasses.replace(spec, **other))
    sources[2].write_bytes(clip_of(numbered(30)))
    assert key != cache_key(sources, spec)


@pytest.mark.parametrize(
    ("module", "name"),
    [(av, "__version__"), (av, "ffmpeg_version_info"), (training.data.cache, "VERSION")],
)
def test_what_another_version_decoded_is_not_used(
    sources: list[Path],
    spec: ClipSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
) -> None:
    monkeypatch.setattr(module, name, "before")
    open_cache(sources, spec, tmp_path, workers=1)
    monkeypatch.undo()
    decoded = []

    def logged(source: ClipSource, spec: ClipSpec) -> tuple[DecodedClip, FileTimes]:
        decoded.append(source)
        return read_timed(source, spec)

    monkeypatch.setattr(training.data.cache, "read_timed", logged)
    open_cache(sources, spec, tmp_path, workers=1)
    assert len(decoded) == 5


def test_every_field_of_the_spec_is_in_the_key_but_those_that_change_nothing(
    spec: ClipSpec, tmp_path: Path
) -> None:
    """Field by field, against what is decoded: a new one has to be put on one side."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip_of(moving_square(44, 48, 64)))
    others: dict[str, Any] = {
        "action": "other", "frames": 33, "fragments": 1, "fragment_length": 8, "fps": Fraction(25),
        "score_range": (0.0, 1.0), "difficulty_rule": "multiply", "stages": ("one",),
        "resize": (40, 40), "crop": (24, 24), "scaler": "bicubic", "colour_order": "bgr",
        "mean": (1.0, 2.0, 3.0), "pad": "start", "start": 1,
    }  # fmt: skip
    assert others.keys() == {field.name for field in dataclasses.fields(spec)}
    key, decoded = cache_key([source], spec), decode(source, spec)[-spec.frames :]
    for name, value in others.items():
        other = dataclasses.replace(spec, **{name: value})
        found = decode(source, other)[-other.frames :]
        if key == cache_key([source], other):
            np.testing.assert_array_equal(found, decoded)
        else:
            assert name == "fragment_length" or not np.array_equal(found, decoded)


def test_it_goes_on_after_a_kill(
    sources: list[Path], spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def count(source: ClipSource, spec: ClipSpec) -> tuple[DecodedClip, FileTimes]:
        decoded.append(source)
        if len(decoded) == 3:
            raise KeyboardInterrupt
        return read_timed(source, spec)

    monkeypatch.setattr(training.data.cache, "read_timed", count)
    with pytest.raises(KeyboardInterrupt):
        open_cache(sources, spec, tmp_path / "cache", workers=1)
    cache = open_cache(sources, spec, tmp_path / "cache", workers=1)
    assert decoded == [*sources[:3], *sources[2:]]
    for i, source in enumerate(sources):
        np.testing.assert_array_equal(cache.decoded(i), decode(source, spec))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_clip_is_named(
    sources: list[Path], spec: ClipSpec, tmp_path: Path, workers: int
) -> None:
    sources[3].write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"3\.mp4"):
        open_cache(sources, spec, tmp_path / "cache", workers=workers)


def test_a_missing_clip_is_named(sources: list[Path], spec: ClipSpec, tmp_path: Path) -> None:
    sources[1].unlink()
    with pytest.raises(DataError, match=r"1\.mp4 cannot be read"):
        open_cache(sources, spec, tmp_path / "cache")
