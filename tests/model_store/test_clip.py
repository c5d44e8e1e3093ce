import dataclasses
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import (
    ClipLimits,
    ClipWarning,
    decode,
    load_clip,
    prepare_clip,
    read_clip,
)
from model_store.errors import ClipTooLarge, InvalidTrim, UnusableClip
from model_store.spec import SPECS, ClipSpec
from tests.clips import LOSSLESS, clip_bytes, clip_of, lossless, moving_square, numbered, numbers

RATES = [24, 25, Fraction(30000, 1001), 30, 50, 60, 120]


def resampled(count: int, fps: Fraction, spec: ClipSpec) -> list[int]:
    """Which of `count` frames a clip shows: of those that are due, the one nearest in time."""
    outputs = int(count / fps * spec.fps + Fraction(1, 2))
    shown = []
    for instant in (k / spec.fps for k in range(outputs)):
        near = range(max(0, int(instant * fps) - 5), min(count, int(instant * fps) + 5))
        due = (i for i in near if i / fps <= instant + 1 / (2 * spec.fps))
        shown.append(min(due, key=lambda i: (abs(i / fps - instant), i)))
    return shown[-spec.frames :]


def test_a_clip_of_the_right_length_comes_back_bit_for_bit(small: ClipSpec) -> None:
    clip = moving_square(151, 32, 32)
    decoded = read_clip(lossless(clip), small)
    np.testing.assert_array_equal(decoded.frames, clip)
    np.testing.assert_allclose(decoded.times, np.arange(151) / 30, atol=1e-9)
    assert decoded.warnings == ()


def test_info(small: ClipSpec) -> None:
    data = clip_bytes(frames=60, height=48, width=64, fps=25)
    info = read_clip(data, small).info
    assert info.sha256 == hashlib.sha256(data).hexdigest()
    assert (info.decoded_frames, info.width, info.height, info.codec) == (60, 64, 48, "h264")
    assert info.fps == pytest.approx(25)
    assert info.duration_s == pytest.approx(60 / 25)
    assert info.errors == 0


def test_every_source_gives_the_same_bits(tmp_path: Path, small: ClipSpec) -> None:
    data = clip_bytes(frames=40, height=48, width=64)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    piped = io.BufferedReader(_Pipe(data))
    with path.open("rb") as file, SpooledTemporaryFile(max_size=100) as spooled:
        spooled.write(data)  # as an upload: rolled over to a named file
        file.read(1000)  # wherever it stands, it is read from its beginning
        sources: list[Any] = [data, path, str(path), io.BytesIO(data), file, spooled, piped]
        clips = [read_clip(source, small) for source in sources]
    for clip in clips[1:]:
        np.testing.assert_array_equal(clip.frames, clips[0].frames)
        np.testing.assert_array_equal(clip.times, clips[0].times)
        assert clip.info == clips[0].info


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_time_is_resampled(fps: Fraction, small: ClipSpec) -> None:
    count = int(5.2 * fps)  # longer than the 151 frames of the spec
    decoded = read_clip(lossless(numbered(count), fps=fps), small)
    assert numbers(decoded.frames) == resampled(count, Fraction(fps), small)
    np.testing.assert_allclose(
        decoded.times, np.array(numbers(decoded.frames)) / float(fps), atol=1e-4
    )
    low = (ClipWarning.LOW_FRAME_RATE,) if fps < 28 else ()
    assert decoded.warnings == (ClipWarning.TRIMMED, *low)


@pytest.mark.parametrize("container", ["mov", "matroska", "mpegts"])
def test_containers_agree(container: str, small: ClipSpec) -> None:
    decoded = read_clip(lossless(numbered(70), fps=60, container=container), small)
    assert numbers(decoded.frames) == list(range(0, 70, 2))
    np.testing.assert_allclose(decoded.times, np.arange(35) / 30, atol=0.0011)


def test_variable_rate_means_the_same_as_thirty(small: ClipSpec) -> None:
    # A phone that drops frames: of 151 instants, those divisible by 3 have no frame of their own.
    kept = [i for i in range(151) if i % 3 or i == 0]
    decoded = read_clip(
        lossless([numbered(1, first=i)[0] for i in kept], pts=kept, container="matroska"), small
    )
    assert numbers(decoded.frames) == [i if i in kept else i - 1 for i in range(150)]


def test_skating_takes_every_fifth_frame() -> None:
    spec = SPECS["skating"].with_size((32, 32), (32, 32))
    decoded = read_clip(lossless(numbered(600), fps=24), spec)
    assert numbers(decoded.frames) == list(range(0, 600, 5))


def test_fewer_frames_than_a_fragment(small: ClipSpec) -> None:
    with pytest.raises(UnusableClip, match=r"^5 frames, need at least 16$"):
        decode(lossless(numbered(5)), small)
    with pytest.raises(UnusableClip, match=r"^15 frames, need at least 16$"):
        decode(lossless(numbered(30), fps=60), small)
    assert len(decode(lossless(numbered(16)), small)) == 16


def test_a_long_clip_keeps_its_end(small: ClipSpec) -> None:
    decoded = read_clip(lossless(numbered(400)), small)
    assert numbers(decoded.frames) == list(range(249, 400))
    assert decoded.times[0] == pytest.approx(249 / 30)
    assert decoded.info.decoded_frames == 400
    assert decoded.warnings == (ClipWarning.TRIMMED,)


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (None, 2.0, range(60)),
        (1.0, 2.0, range(30, 60)),
        (0.99, 1.99, range(30, 60)),
        (8.0, None, range(240, 400)),
        (8.0, 1000.0, range(240, 400)),
        (0, 400 / 30, range(400)),
    ],
)
def test_a_part_of_a_clip(
    start_s: float | None, end_s: float | None, expected: range, small: ClipSpec
) -> None:
    decoded = read_clip(lossless(numbered(400)), small, start_s=start_s, end_s=end_s)
    assert numbers(decoded.frames) == list(expected)[-151:]
    assert (ClipWarning.TRIMMED in decoded.warnings) == (len(expected) > 151)


def test_a_part_is_measured_on_the_clock_of_its_times(small: ClipSpec) -> None:
    data = lossless(numbered(200, 32, 32), fps=25)
    whole = read_clip(data, small)
    start = float(whole.times[70])
    part = read_clip(data, small, start_s=start - 1e-6)
    assert part.times[0] == pytest.approx(start)


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-1, None), (float("nan"), None), (None, float("inf")), (2.0, 1.0), (1.0, 1.0), (100.0, None),
     (None, 0.0), (1.0, 1.1)],
)  # fmt: skip
def test_parts_that_leave_nothing(
    start_s: float | None, end_s: float | None, small: ClipSpec
) -> None:
    with pytest.raises(InvalidTrim, match="need"):
        read_clip(lossless(numbered(90)), small, start_s=start_s, end_s=end_s)


@pytest.mark.parametrize("pad", ["end", "start"])
def test_a_short_clip_is_padded_with_blank_frames(pad: Any, small: ClipSpec) -> None:
    spec = dataclasses.replace(small, pad=pad)
    clip = prepare_clip(read_clip(lossless(numbered(50)), spec), spec)
    blank = [-1] * 101
    expected = [*range(50), *blank] if pad == "end" else [*blank, *range(50)]
    assert numbers(clip.frames) == expected
    assert [not np.isnan(time) for time in clip.times] == [number >= 0 for number in expected]
    assert clip.warnings == (ClipWarning.PADDED,)
    np.testing.assert_array_equal(clip.frames, load_clip(lossless(numbered(50)), spec))


def test_progress_is_reported_and_may_stop_the_reading(small: ClipSpec) -> None:
    reported: list[tuple[int, int]] = []
    read_clip(lossless(numbered(40)), small, on_frame=lambda *progress: reported.append(progress))
    assert reported == [(done, 40) for done in range(1, 41)]

    class Cancelled(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        read_clip(lossless(numbered(40)), small, on_frame=cancel)


def test_threads_change_nothing(small: ClipSpec) -> None:
    clips = [clip_bytes(frames=60, height=48, width=64, seed=seed) for seed in range(4)] * 3
    expected = [decode(clip, small) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        for frames, alone in zip(
            pool.map(lambda c: decode(c, small), clips), expected, strict=True
        ):
            np.testing.assert_array_equal(frames, alone)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ClipLimits(max_frames=59), "more than 59 frames"),
        (ClipLimits(max_seconds=1.9), r"2\.0 s, allowed are 1\.9 s"),
        (ClipLimits(max_pixels=1000), "32×32.* 1000 pixels"),
        (ClipLimits(max_width=31), "32×32"),
        (ClipLimits(max_height=31), "32×32"),
        (ClipLimits(max_decoded_pixels=59 * 1024), "more than 60416 pixels in all"),
        (ClipLimits(max_bytes=3000), "more than 3000 bytes of video"),
        (ClipLimits(max_streams=1), "2 streams, allowed are 1"),
    ],
)  # fmt: skip
def test_limits(limits: ClipLimits, message: str, small: ClipSpec) -> None:
    data = clip_of(
        np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8), audio=True
    )
    with pytest.raises(ClipTooLarge, match=message):
        read_clip(data, small, limits=limits)
    exact = ClipLimits(
        max_frames=60,
        max_seconds=2.0,
        max_pixels=32 * 32,
        max_width=32,
        max_height=32,
        max_streams=2,
        max_decoded_pixels=60 * 1024,
    )
    assert len(read_clip(data, small, limits=exact).frames) == 60


def test_limits_hold_for_the_file_and_not_for_the_part_that_is_asked_for(small: ClipSpec) -> None:
    data = lossless(numbered(100), options=LOSSLESS["options"] | {"g": "10"})
    with pytest.raises(ClipTooLarge, match="more than 99 frames"):
        read_clip(data, small, limits=ClipLimits(max_frames=99), start_s=2.0)


def test_the_smallest_picture(small: ClipSpec) -> None:
    with pytest.raises(UnusableClip, match="8×24, need at least 16 pixels"):
        decode(lossless(np.full((20, 24, 8, 3), 9, np.uint8)), small)


def test_ffmpeg_is_not_older_than_its_security_fixes() -> None:
    version = tuple(int(part) for part in av.ffmpeg_version_info.split("-")[0].split("."))
    assert version >= (8, 1, 2)


class _Pipe(io.RawIOBase):
    """A stream that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)
