"""Orientation, size, crop and colour, against pixels that are known."""

import dataclasses
import gc
import io
import struct
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import decode, read_clip
from model_store.spec import SPECS, ClipSpec
from model_store.video.scaler import Orientation
from tests.clips import Frames, clip_of, lossless

ONE = 1 << 16  # 1 in the first two columns of a display matrix
W = 1 << 30  # 1 in its last column


def picture(height: int = 32, width: int = 48) -> Frames:
    """No two of its eight orientations look alike."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[:8, :8] = (255, 0, 0)
    pixels[:8, -16:] = (0, 255, 0)
    pixels[-4:, :8] = (0, 0, 255)
    return pixels


def spec_of(height: int, width: int) -> ClipSpec:
    return SPECS["diving"].with_size((height, width), (height, width))


def shown(seen: Frames, **arguments: Any) -> Frames:
    """What comes back for 16 times the picture, read at its own size as it should be seen."""
    data = lossless([picture()] * 16, **arguments)
    frames: Frames = decode(data, spec_of(*seen.shape[:2]))
    return frames[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("rotation", [0, 90, -90, 180, -180])
def test_rotation(rotation: int) -> None:
    seen = np.rot90(picture(), rotation // 90)  # both are counter-clockwise
    np.testing.assert_array_equal(shown(seen, rotation=rotation), seen)


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "seen"),
    [
        (-1, 0, 0, 1, picture()[:, ::-1]),
        (1, 0, 0, -1, picture()[::-1]),
        (0, 1, 1, 0, picture().transpose(1, 0, 2)),
        (0, -1, -1, 0, picture()[::-1, ::-1].transpose(1, 0, 2)),
    ],
    ids=["mirror", "upside down", "transpose", "anti-transpose"],
)
def test_reflection(a: int, b: int, c: int, d: int, seen: Frames) -> None:
    matrix = [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, W]
    np.testing.assert_array_equal(shown(seen, matrix=matrix), seen)


@pytest.mark.parametrize(
    "matrix",
    [
        [0] * 9,
        [0, 0, 0, 0, 0, 0, 0, 0, W],
        [46341, 46341, 0, -46341, 46341, 0, 0, 0, W],  # 45°
        [ONE, ONE, 0, ONE, ONE, 0, 0, 0, W],  # not invertible
        [-(2**31)] * 9,
    ],
)
def test_a_degenerate_matrix_is_upright(matrix: list[int]) -> None:
    np.testing.assert_array_equal(shown(picture(), matrix=matrix), picture())


def test_a_scaled_matrix_with_rounding_still_turns() -> None:
    matrix = struct.pack("=9i", 3, 2 * ONE, 0, -2 * ONE, -5, 0, 0, 0, W)
    assert Orientation.of_matrix(matrix) == Orientation(transpose=True, flip_x=True)


def test_a_turned_picture_is_scaled_to_the_size_it_is_seen_in() -> None:
    # Left half black, right half white; turned, the border lies across the middle.
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, 48:] = 255
    moving = [np.roll(pixels, 3 * index, axis=1) for index in range(16)]
    decoded = read_clip(lossless(moving, rotation=-90), spec_of(32, 48))
    assert (decoded.info.width, decoded.info.height) == (64, 96)
    frame = decoded.frames[0]
    assert (frame[:15] == 0).all()
    assert (frame[17:] == 255).all()


def test_the_crop_is_cut_from_the_centre() -> None:
    column = np.arange(0, 171)
    pixels = np.zeros((128, 171, 3), np.uint8)
    pixels[..., 0] = column
    pixels[..., 1] = np.arange(128)[:, None]
    pixels[..., 2] = 9
    frame = decode(lossless([pixels] * 16), SPECS["diving"])[0]
    np.testing.assert_array_equal(frame, pixels[8 : 8 + 112, 29 : 29 + 112])


@pytest.mark.parametrize(("scaler", "exact"), [("area", True), ("bilinear", False)])
def test_area_is_the_mean_of_the_pixels(scaler: Any, exact: bool) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    spec = dataclasses.replace(spec_of(16, 16), scaler=scaler)
    frame = decode(lossless([pixels] * 16), spec)[0].astype(int)
    mean = pixels.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert (np.abs(frame - mean).max() <= 1.01) == exact


def test_colour_order() -> None:
    data = lossless([picture()] * 16)
    bgr = decode(data, dataclasses.replace(spec_of(32, 48), colour_order="bgr"))
    np.testing.assert_array_equal(bgr[0], picture()[..., ::-1])


@pytest.mark.parametrize("size", [(33, 47), (17, 16), (64, 31)])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "gray", "yuv420p10le"])
def test_odd_sizes_and_other_pixel_formats(size: tuple[int, int], pix_fmt: str) -> None:
    if "420" in pix_fmt:
        size = (size[0] // 2 * 2, size[1] // 2 * 2)
    data = clip_of([np.full((*size, 3), 128, np.uint8)] * 16, pix_fmt=pix_fmt)
    frames = decode(data, SPECS["diving"])
    assert frames.shape == (16, 112, 112, 3)
    assert np.abs(frames.astype(int) - 128).max() <= 3


@pytest.mark.parametrize(("standard", "kr", "kb"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114),
                                                    (2, 0.299, 0.114)])  # fmt: skip
@pytest.mark.parametrize("full", [False, True])
def test_colours_follow_the_tags_of_the_file(
    standard: int, kr: float, kb: float, full: bool
) -> None:
    """BT.709, BT.601 and untagged, limited and full range.   [ITU-T H.273]"""
    y, cb, cr = 120, 90, 180
    red, green, blue = _rgb(y, cb, cr, kr, kb, full)
    frame = decode(_yuv_clip(y, cb, cr, standard, full), spec_of(32, 32))[0, 16, 16]
    np.testing.assert_allclose(frame, [red, green, blue], atol=2)


def test_black_is_black_and_white_is_white() -> None:
    for value in (0, 255):
        picture = [np.full((32, 32, 3), value, np.uint8)] * 16
        assert (decode(clip_of(picture), spec_of(32, 32)) == value).all()
        jpeg = clip_of(picture, codec="mjpeg", pix_fmt="yuvj420p", container="avi")
        assert np.abs(decode(jpeg, spec_of(32, 32)).astype(int) - value).max() <= 3


def _rgb(y: int, cb: int, cr: int, kr: float, kb: float, full: bool) -> list[float]:
    luma, chroma = (y / 255, 255) if full else ((y - 16) / 219, 224)
    b, r = (cb - 128) / chroma, (cr - 128) / chroma
    red = luma + 2 * (1 - kr) * r
    blue = luma + 2 * (1 - kb) * b
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return [float(np.clip(255 * value, 0, 255)) for value in (red, green, blue)]


def _yuv_clip(y: int, cb: int, cr: int, standard: int, full: bool) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace = standard
        stream.codec_context.color_range = 2 if full else 1
        planes = np.stack([np.full((32, 32), value, np.uint8) for value in (y, cb, cr)])
        for index in range(16):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.colorspace, frame.color_range = standard, 2 if full else 1
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("rotation", [0, 90])
def test_decoded_frames_are_let_go_at_once(rotation: int) -> None:
    """Without a garbage collector: large pictures must not wait for it."""
    data = lossless([picture()] * 40, rotation=rotation)
    gc.collect()
    gc.disable()
    try:
        decode(data, spec_of(16, 16))
        frames: list[Any] = [one for one in gc.get_objects() if type(one) is av.VideoFrame]
        assert [one for one in frames if one.width == 16]  # small ones are what a leak looks like
        assert not [one for one in frames if one.width == 48]
    finally:
        gc.enable()
