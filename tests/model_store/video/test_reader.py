"""Files that lie or are odd in other ways; each made here."""

import io
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import ClipLimits, ClipWarning, decode, read_clip
from model_store.errors import ClipTooLarge, UnusableClip
from model_store.spec import ClipSpec
from tests.clips import (
    LOSSLESS,
    Frames,
    audio_only,
    clip_of,
    lossless,
    numbered,
    numbers,
)

INTRA = LOSSLESS["options"] | {"g": "1"}
REORDERED = {"qp": "1", "bf": "3", "b_strategy": "0", "sc_threshold": "0"}


def test_delayed_frames_are_flushed(small: ClipSpec) -> None:
    data = lossless(numbered(100), options=REORDERED)
    with av.open(io.BytesIO(data), "r") as container:
        pts = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert pts != sorted(pts, key=lambda stamp: stamp or 0)
    assert numbers(decode(data, small)) == list(range(100))


def test_an_edit_list_hides_frames(small: ClipSpec) -> None:
    data = bytearray(lossless(numbered(60), options=REORDERED))
    at = data.index(b"elst") + 12  # type, version and flags, count
    duration, media_time = struct.unpack_from(">ii", data, at)  # 1/1000 s, 1/15360 s
    struct.pack_into(">ii", data, at, duration * 40 // 60, media_time + 20 * 512)
    done: list[int] = []
    decoded = read_clip(bytes(data), small, on_frame=lambda packet, _: done.append(packet))
    assert done == list(range(1, 61))  # decoded once
    assert numbers(decoded.frames) == list(range(20, 60))
    assert decoded.times[0] == 0
    assert decoded.info.decoded_frames == 40
    assert decoded.warnings == ()


def test_frames_are_counted_and_not_believed(small: ClipSpec) -> None:
    fragmented = lossless(numbered(60), container_options={"movflags": "frag_keyframe+empty_moov"})
    with av.open(io.BytesIO(fragmented), "r") as container:
        assert container.streams.video[0].frames == 0
    decoded = read_clip(fragmented, small)
    assert numbers(decoded.frames) == list(range(60))
    assert decoded.info.decoded_frames == 60


def test_avi_has_no_presentation_times(small: ClipSpec) -> None:
    data = lossless(numbered(60), container="avi", options=REORDERED, fps=25)
    decoded = read_clip(data, small)
    assert numbers(decoded.frames) == [round(k * 25 / 30 - 1e-9) for k in range(72)]
    assert decoded.warnings == (
        ClipWarning.LOW_FRAME_RATE,
    )  # its pictures follow each other evenly by definition
    assert decoded.info.fps == pytest.approx(25)
    assert decoded.info.decoded_frames == 60


def test_times_that_stand_still_are_replaced_by_the_rate(small: ClipSpec) -> None:
    data = bytearray(lossless(numbered(60), options=INTRA))
    at = data.index(b"stts") + 8  # type, version and flags, then count and (samples, delta) each
    assert struct.unpack_from(">iii", data, at) == (1, 60, 512)
    struct.pack_into(">i", data, at + 8, 0)
    decoded = read_clip(bytes(data), small)
    assert numbers(decoded.frames) == list(range(60))
    assert ClipWarning.TIMES_ASSUMED in decoded.warnings


def test_times_are_those_of_a_player(small: ClipSpec) -> None:
    late = lossless(numbered(60), pts=range(15, 75), audio=True)
    decoded = read_clip(late, small)
    assert decoded.times[0] == pytest.approx(0.5, abs=0.03)  # the sound begins at 0
    part = read_clip(late, small, start_s=1.1, end_s=2.1)
    assert 1.1 <= part.times[0] <= part.times[-1] < 2.1
    stream = read_clip(lossless(numbered(60), container="mpegts"), small)  # begins at 1.4 s or so
    assert stream.times[0] == 0


def test_a_lossy_copy_shows_the_same_frames_at_the_same_times(small: ClipSpec) -> None:
    pts = np.cumsum(np.random.default_rng(3).integers(1, 9, 120)).tolist()
    frames = numbered(120)
    exact = read_clip(lossless(frames, pts=pts, time_base=Fraction(1, 240)), small)
    other = read_clip(clip_of(frames, pts=pts, time_base=Fraction(1, 240), codec="mpeg4"), small)
    np.testing.assert_allclose(exact.times, other.times, atol=0.001)
    assert exact.times.tolist() == sorted(exact.times)


def test_the_main_stream_is_read_and_not_the_first(small: ClipSpec) -> None:
    assert numbers(decode(two_streams(), small)) == list(range(100, 140))


def test_a_cover_picture_is_no_video(small: ClipSpec) -> None:
    assert numbers(decode(with_cover(lossless(numbered(40))), small)) == list(range(40))
    with pytest.raises(UnusableClip, match="no video stream, need one"):
        decode(with_cover(audio_only()), small)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_sound_alone(container: str, small: ClipSpec) -> None:
    with pytest.raises(UnusableClip, match="no video stream, need one"):
        decode(audio_only(container), small)


def test_a_size_that_changes_midway(small: ClipSpec) -> None:
    data = resized_midway((48, 64), (96, 80))
    decoded = read_clip(data, small)
    assert decoded.warnings == (ClipWarning.SIZE_CHANGES,)
    assert np.abs(decoded.frames[5, 8:].astype(int) - 60).max() < 5
    assert np.abs(decoded.frames[-5, 8:].astype(int) - 180).max() < 5
    with pytest.raises(ClipTooLarge, match="80×96"):
        read_clip(data, small, limits=ClipLimits(max_pixels=7000))
    with pytest.raises(UnusableClip, match="damaged"):  # the decoder refused to make room for it
        read_clip(
            resized_midway((48, 64), (480, 640)),
            small,
            limits=ClipLimits(max_pixels=5000, max_error_share=0.2),
        )


def test_tags_that_are_not_utf8(small: ClipSpec) -> None:
    data = lossless(numbered(20), metadata={"title": "TITLETITLE"})
    assert data.count(b"TITLETITLE") == 1
    decode(data.replace(b"TITLETITLE", b"\xff\xfe\xfa\x80\xc0\xaf\xed\xa0\x80\xff"), small)


def two_streams() -> bytes:
    """First 16×16 and few, then 32×32: the frames from 100 on."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        streams: list[Any] = [
            output.add_stream("libx264rgb", rate=30, options=LOSSLESS["options"]) for _ in "12"
        ]
        for stream, side in zip(streams, (16, 32), strict=True):
            stream.disposition = av.stream.Disposition.default if side == 32 else 0
            stream.width = stream.height = side
            stream.pix_fmt = "rgb24"
        for stream, clip in zip(
            streams, (numbered(40, 16, 16), numbered(40, first=100)), strict=True
        ):
            for index, pixels in enumerate(clip):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts = index
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return buffer.getvalue()


def with_cover(data: bytes) -> bytes:
    """The same mp4 with a JPEG as its cover, in front."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", format="mp4") as output:
        cover: Any = output.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 320
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        [original] = source.streams
        copy = output.add_stream_from_template(original)
        picture = av.VideoFrame.from_ndarray(np.zeros((320, 320, 3), np.uint8), format="rgb24")
        output.mux(cover.encode(picture))
        output.mux(cover.encode(None))
        for packet in source.demux(original):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    return buffer.getvalue()


def resized_midway(first: tuple[int, int], second: tuple[int, int]) -> bytes:
    """Forty frames of one size and forty of another in one stream, grey but for a line."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as output:
        stream: Any = output.add_stream("libx264", rate=30)
        stream.height, stream.width = first
        stream.pix_fmt = "yuv420p"
        for index in range(40):
            frame = av.VideoFrame.from_ndarray(grey(first, 60, index), format="rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        other = clip_of([grey(second, 180, index) for index in range(40)], container="mpegts")
        with av.open(io.BytesIO(other), "r") as source:
            for packet in source.demux(video=0):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts += 40 * 3000
                packet.dts += 40 * 3000
                packet.stream = stream
                packet.time_base = Fraction(1, 90000)
                output.mux(packet)
    return buffer.getvalue()


def grey(size: tuple[int, int], level: int, index: int) -> Frames:
    """One grey, and above it a stripe whose grey changes with the index."""
    picture: Frames = np.full((*size, 3), level, np.uint8)
    picture[: size[0] // 8] = 5 * index
    return picture
