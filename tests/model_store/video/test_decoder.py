"""Leaving frames out must not change those that are kept."""

import random
from typing import Any

import numpy as np
import pytest
from av.packet import PacketSideData

from model_store.clip import ClipLimits, decode, read_clip
from model_store.spec import ClipSpec
from model_store.video.container import open_bytes, open_video
from model_store.video.decoder import Decoder
from model_store.video.demuxer import demux
from tests.clips import Frames, clip_of

LIMITS = ClipLimits()
NEW_EXTRADATA = 1  # AV_PKT_DATA_NEW_EXTRADATA


def noisy(count: int) -> Frames:
    """Every frame differs from every other, so encoders have to spend bits on each."""
    noise = np.random.default_rng(0).integers(0, 60, (count, 48, 64, 3))
    drift = np.linspace(0, 150, count)[:, None, None, None]
    return (noise + drift).astype(np.uint8)


X264 = "keyint=12:scenecut=0:bframes=3:b-adapt=0"
X265 = "log-level=none:pools=none:frame-threads=1:keyint=12:scenecut=0:bframes=3:b-adapt=0"
STREAMS: dict[str, dict[str, Any]] = {
    "h264": {"options": {"x264-params": X264}},
    "h264 pyramid": {"options": {"x264-params": "scenecut=0:bframes=7:b-adapt=0:b-pyramid=strict"}},
    "h264 open": {"options": {"x264-params": f"{X264}:open-gop=1"}},
    "h264 open ts": {"container": "mpegts", "options": {"x264-params": f"{X264}:open-gop=1"}},
    "h264 ts": {"container": "mpegts", "options": {"x264-params": X264}},
    "h264 refresh": {"options": {"x264-params": "keyint=12:intra-refresh=1"}},
    "h264 avi": {"container": "avi", "options": {"x264-params": X264}},
    "hevc": {"codec": "libx265", "options": {"x265-params": X265}},
    "hevc open": {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=1"}},
    "hevc open ts": {
        "codec": "libx265",
        "container": "mpegts",
        "options": {"x265-params": f"{X265}:open-gop=1"},
    },
    "hevc layers": {
        "codec": "libx265",
        "options": {"x265-params": f"{X265}:temporal-layers=3:bframes=7"},
    },
    "mpeg4": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "vp8": {"codec": "libvpx", "container": "webm",
            "options": {"deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "8"}},
    "vp9": {"codec": "libvpx-vp9", "container": "webm",
            "options": {"deadline": "good", "cpu-used": "8", "lag-in-frames": "16", "g": "12"}},
    "av1": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "keyint=12"}},
    "mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}  # fmt: skip


@pytest.fixture(scope="module", params=STREAMS)
def stream(request: pytest.FixtureRequest) -> bytes:
    return clip_of(noisy(64), fps=60, **STREAMS[request.param])


def pictures(data: bytes, wanted: frozenset[int] | None) -> tuple[dict[int, Frames], Decoder]:
    with open_bytes(data) as file, open_video(file, LIMITS) as video:
        packets = demux(video, LIMITS)
        decoder = Decoder(video.context, LIMITS)
        frames: dict[int, Any] = {
            int(frame.pts or 0): frame.to_ndarray(format="rgb24")
            for frame in decoder.frames(packets.packets, wanted)
        }
    return frames, decoder


def test_frames_are_the_same_however_few_are_wanted(stream: bytes) -> None:
    everything, decoder = pictures(stream, None)
    assert len(everything) == 64
    assert decoder.finished
    choose = random.Random(0)
    pts = sorted(everything)
    selections = [
        pts[::2],
        pts[30:40],
        pts[-1:],
        *(choose.sample(pts, 20) for _ in "12"),
    ]
    for wanted in map(frozenset, selections):
        some, decoder = pictures(stream, wanted)
        for stamp in wanted & some.keys():
            np.testing.assert_array_equal(some[stamp], everything[stamp])
        # What is missing is noticed by who asked; only key frames that are none lead to that.
        assert wanted <= some.keys() or not decoder.finished


def test_clips_are_the_same_as_from_decoding_everything(stream: bytes, small: ClipSpec) -> None:
    everything = decode(stream, small)  # 64 frames at 60 a second: 32
    part = read_clip(stream, small, start_s=8 / 30 - 0.001)
    np.testing.assert_array_equal(part.frames, everything[8:])


@pytest.mark.parametrize("name", ["h264", "hevc", "mpeg4"])
def test_a_container_may_call_everything_a_key_frame(name: str) -> None:
    honest = clip_of(noisy(64), fps=60, **STREAMS[name])
    assert honest.count(b"stss") == 1
    lie = honest.replace(b"stss", b"free")  # without this list every frame is one
    everything, _ = pictures(honest, None)
    for stamp in sorted(everything)[5::7]:
        some, _ = pictures(lie, frozenset([stamp]))
        np.testing.assert_array_equal(some[stamp], everything[stamp])


@pytest.mark.parametrize(
    ("name", "most"),
    [("h264", 50), ("h264 ts", 50), ("hevc", 50), ("mpeg4", 50),
     ("hevc layers", 64), ("h264 refresh", 64), ("vp9", 64)],
)  # fmt: skip
def test_frames_are_left_out_where_that_is_safe(name: str, most: int) -> None:
    data = clip_of(noisy(64), fps=60, **STREAMS[name])
    pts = sorted(pictures(data, None)[0])
    every_second, _ = pictures(data, frozenset(pts[::2]))
    assert len(every_second) <= most
    assert len(every_second) == 64 or most < 64


@pytest.mark.parametrize("name", ["h264", "h264 ts", "hevc open ts", "mpeg4", "vp9", "mjpeg"])
def test_only_the_last_part_is_decoded_for_the_last_frames(name: str) -> None:
    data = clip_of(noisy(64), fps=60, **STREAMS[name])
    pts = sorted(pictures(data, None)[0])
    last, decoder = pictures(data, frozenset(pts[-2:]))
    assert len(last) <= 16
    assert not decoder.finished


def test_new_parameters_midway_are_not_left_out() -> None:
    """As in files that were joined: the second part comes with its own parameters."""
    clips = [
        clip_of(noisy(24), options={"x264-params": f"{X264}:cabac={cabac}"}) for cabac in (1, 0)
    ]
    packets = []
    for index, data in enumerate(clips):
        with open_bytes(data) as file, open_video(file, LIMITS) as video:
            part = demux(video, LIMITS).packets
            parameters = video.context.extradata or b""
        if index:
            side_data: Any = PacketSideData(NEW_EXTRADATA, len(parameters))  # type: ignore[call-arg]
            memoryview(side_data)[:] = parameters
            part[0].set_sidedata(side_data)
        for packet in part:
            packet.pts = (packet.pts or 0) + index * 10**6
            packet.dts = None
        packets += part
    assert [packet.has_sidedata("new_extradata") for packet in packets].index(True) == 24

    def last(wanted: frozenset[int] | None) -> Frames:
        with open_bytes(clips[0]) as file, open_video(file, LIMITS) as video:
            frames = list(Decoder(video.context, LIMITS).frames(packets, wanted))
        assert len(frames) == 48 if wanted is None else len(frames) <= 24
        return frames[-1].to_ndarray(format="rgb24")  # type: ignore[return-value]

    pts = max(packet.pts or 0 for packet in packets)
    np.testing.assert_array_equal(last(frozenset([pts])), last(None))
