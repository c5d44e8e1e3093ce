"""Good clips, mutated, against the real decode pool: a clip or a documented error comes of each."""

import asyncio
import functools
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_store.clip import ClipLimits
from model_store.spec import DIVING
from service.decode.pool import DecodeJob, DecodePool
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout
from service.http.problems import problem_of
from tests.clips import clip_of, moving_square

JOB = DecodeJob(
    spec=DIVING.with_size((32, 32), (32, 32)),
    limits=ClipLimits(max_frames=500, max_pixels=500_000),
    sha256="c" * 64,
    wants_fragment_jpegs=True,
)
X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1"}
KINDS: dict[str, dict[str, Any]] = {
    "mp4": {},
    "fragmented": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "sound": {"audio": True},
    "hevc": {"codec": "libx265", "options": X265},
    "matroska": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx"},
    "vp9": {"container": "matroska", "codec": "libvpx-vp9"},
    "mpegts": {"container": "mpegts"},
    "avi": {"container": "avi", "codec": "mpeg4"},
    "mjpeg": {"container": "avi", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "3gp": {"container": "3gp", "codec": "mpeg4"},
}
BOXES = (
    b"moov", b"trak", b"mdia", b"stbl", b"stsd", b"stts", b"stsz", b"stco", b"stsc", b"ctts",
    b"elst", b"tkhd", b"mdhd", b"mvhd", b"avcC", b"hvcC", b"mdat", b"moof", b"traf", b"trun",
    b"esds", b"avc1", b"idx1", b"movi", b"strh", b"strf", b"hdrl", b"\x1a\x45\xdf\xa3",
)  # fmt: skip
SIZES = (0, 1, 7, 8, 2**16, 2**31 - 1, 2**31, 2**32 - 1)


@functools.cache
def good(kind: str) -> bytes:
    return clip_of(moving_square(24, 64, 80), **KINDS[kind])


def flip(draw: Callable[..., Any], data: bytearray) -> None:
    for _ in range(draw(st.integers(1, 60))):
        data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))


def cut(draw: Callable[..., Any], data: bytearray) -> None:
    at = draw(st.integers(0, len(data) - 1))
    del data[at : at + draw(st.sampled_from([1, 4, 188, 5000, len(data)]))]


def splice(draw: Callable[..., Any], data: bytearray) -> None:
    other = good(draw(st.sampled_from(list(KINDS))))
    at, start = draw(st.integers(0, len(data))), draw(st.integers(0, len(other)))
    data[at : at + draw(st.sampled_from([0, 500]))] = other[start : start + 500]


def repeat(draw: Callable[..., Any], data: bytearray) -> None:
    at = draw(st.integers(0, len(data) - 1))
    data[at:at] = data[at : at + draw(st.sampled_from([4, 188, 3000]))]


def resize(draw: Callable[..., Any], data: bytearray) -> None:
    """Lie about the size of a box, or about a number near its beginning."""
    at = data.find(draw(st.sampled_from([box for box in BOXES if box in data] or [b""])))
    at += draw(st.sampled_from([-4, 4, 8, 12, 16, 20, 24, 28, 32]))
    if 0 <= at <= len(data) - 4:
        order = draw(st.sampled_from("<>"))
        data[at : at + 4] = struct.pack(f"{order}I", draw(st.sampled_from(SIZES)))


@st.composite
def mutants(draw: Callable[..., Any]) -> bytes:
    data = bytearray(good(draw(st.sampled_from(list(KINDS)))))
    for _ in range(draw(st.integers(1, 3))):
        if data:
            draw(st.sampled_from([flip, cut, splice, repeat, resize]))(draw, data)
    return bytes(data)


@contextmanager
def pool() -> Iterator[Callable[[bytes], int]]:
    """A function that gives the HTTP status of a file, and fails where a worker is lost."""
    with asyncio.Runner() as runner:
        decoders = DecodePool(
            workers=1, timeout_s=20.0, cpu_s=20, memory_bytes=2 << 30, clips_per_worker=10**6
        )
        runner.run(decoders.start())
        pids = decoders.pids

        async def attempt(content: bytes) -> int:
            with tempfile.TemporaryFile() as file:
                file.write(content)
                file.flush()
                try:
                    await decoders.decode(file.fileno(), JOB)
                except (DecoderFailed, DecoderTimeout, DecoderInterrupted):
                    raise
                except Exception as error:
                    if any(internal in str(error) for internal in ("Errno", "none>")):
                        raise  # a client cannot use such a text
                    return problem_of(error).kind.status
            return 200

        try:
            yield lambda content: runner.run(attempt(content))
            assert decoders.pids == pids
            assert all(runner.run(attempt(good(kind))) == 200 for kind in KINDS)
        finally:
            runner.run(decoders.stop())


def fuzz(examples: int) -> set[int]:
    statuses = set()
    with pool() as status_of:

        @settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck),
            derandomize=examples < 1000, database=None,
        )  # fmt: skip
        @given(mutants())
        def attempt(content: bytes) -> None:
            status = status_of(content)
            assert status in (200, 413, 415, 422)
            statuses.add(status)

        attempt()
    return statuses


def test_mutated_clips_end_in_a_clip_or_a_documented_error() -> None:
    assert fuzz(examples=150) >= {200, 415, 422}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_mutated_clips() -> None:
    assert fuzz(examples=10_000) == {200, 413, 415, 422}
