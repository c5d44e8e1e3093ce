"""Interlaced video, against the moments that were woven into it."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import ClipWarning, read_clip
from model_store.spec import SPECS
from model_store.video.deinterlacing import FieldOrder, FieldOrderDetector, blend_fields
from model_store.video.timeline import Timeline
from tests.clips import Frames

H, W = 96, 128
SPEC = SPECS["diving"].with_size((48, 64), (48, 64))


def moments(count: int) -> Frames:
    """A bright bar that moves to the right, 2 pixels a moment."""
    clip = np.full((count, H, W, 3), 60, np.uint8)
    for moment in range(count):
        left = 2 * moment % (W - 24)
        clip[moment, 20:76, left : left + 24] = 220
    return clip


def woven(first: str, taken: Frames) -> Frames:
    """(2 N, H, W, 3) moments -> N frames of two fields."""
    early, late = taken[0::2], taken[1::2]
    frames = early.copy()
    rows = slice(1, None, 2) if first == "top" else slice(0, None, 2)
    frames[:, rows] = late[:, rows]
    return frames


def interlaced(frames: Frames, fps: int, *, flag: str = "tff", container: str = "mp4") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        options = {"qp": "0", "x264-params": f"{flag}=1"}
        stream: Any = output.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = H, W, "yuv422p"
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def centre(clip: Frames) -> Any:
    """Where the bar is, in pixels of the original."""
    bright = clip[:, 20, :, 1].astype(float) - 60
    bright[bright < 40] = 0
    places = (np.arange(clip.shape[2]) + 0.5) * W / clip.shape[2]
    return (bright * places).sum(axis=1) / bright.sum(axis=1)


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("flag", ["tff", "bff"])  # which is wrong half of the time
@pytest.mark.parametrize("fps", [30, 25])
def test_each_output_shows_the_field_nearest_to_its_time(
    first: str, flag: str, fps: int, container: str
) -> None:
    taken = moments(80)
    data = interlaced(woven(first, taken), fps, flag=flag, container=container)
    decoded = read_clip(data, SPEC)
    assert decoded.warnings == (ClipWarning.INTERLACED,)
    assert decoded.info.decoded_frames == 40
    assert decoded.info.fps == pytest.approx(fps)
    assert len(decoded.frames) == 40 * 30 // fps
    wanted = [
        round(Fraction(2 * fps * k, 30) - Fraction(1, 1000)) for k in range(len(decoded.frames))
    ]
    expected = centre(taken[np.minimum(wanted, 79)])
    assert np.abs(centre(decoded.frames) - expected).max() < 0.8  # a moment more is 2
    shown = np.array(wanted) / (2 * fps)
    np.testing.assert_allclose(decoded.times - decoded.times[0], shown, atol=1e-6)


@pytest.mark.parametrize("fps", [30, 25])
def test_progressive_frames_that_are_flagged_as_interlaced_stay_whole(fps: int) -> None:
    frames = moments(80)[::2]
    decoded = read_clip(interlaced(frames, fps), SPEC)
    assert ClipWarning.INTERLACED in decoded.warnings
    assert len(decoded.frames) == 40 * 30 // fps
    instants = np.arange(len(decoded.frames)) * fps / 30
    expected = centre(frames[np.round(instants - 1e-3).astype(int).clip(0, 39)])
    assert np.abs(centre(decoded.frames) - expected).max() < 0.5


def test_a_still_scene_needs_no_order() -> None:
    watch = FieldOrderDetector()
    still = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    for _ in range(10):
        watch.add(still)
    assert watch.order is None


def test_fields_in_their_order() -> None:
    both = np.arange(6, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    early, late = FieldOrder.BOTTOM.separate(both)
    assert (early[:, 0, 0].tolist(), late[:, 0, 0].tolist()) == ([1, 3, 5], [0, 2, 4])
    assert blend_fields(both)[:, 0, 0].tolist() == [1, 3, 5]


def test_moments_of_a_timeline() -> None:
    timeline = Timeline.of_pts([0, 2, 4, 8], Fraction(1, 50))
    assert timeline is not None
    fields = timeline.fields()
    assert list(fields.pts) == [0, 2, 4, 6, 8, 12, 16, 18]
    assert fields.time_base == Fraction(1, 100)


def test_interlaced_video_with_bars() -> None:
    taken = moments(80)
    taken[:, :12] = taken[:, -12:] = 0
    decoded = read_clip(interlaced(woven("top", taken), 30), SPEC)
    assert set(decoded.warnings) == {ClipWarning.INTERLACED, ClipWarning.BARS}
    assert decoded.frames[:, [0, -1]].min() > 40
