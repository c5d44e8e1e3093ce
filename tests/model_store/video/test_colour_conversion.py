"""High dynamic range and wide gamut, against BT.709 pictures that went in.   [BT.2100, BT.2087]"""

import dataclasses
import io
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import ClipWarning, read_clip
from model_store.confidence import ReviewReason, review_reasons
from model_store.spec import SPECS, ClipSpec
from model_store.video.colour_conversion import (
    LOW_WHITE,
    WHITE,
    ColourConversion,
    ColourTags,
    WhiteLevelDetector,
    encoded,
)
from tests.clips import Frames

BT709, UNTAGGED, BT2020, P3, PQ, HLG = 1, 2, 9, 12, 16, 18
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
PATCHES = [(255, 255, 255), (128, 128, 128), (192, 32, 32), (32, 64, 192), (40, 160, 60), (9, 9, 9)]


def spec() -> ClipSpec:
    return SPECS["diving"].with_size((32, 96), (32, 96))


def patches() -> Frames:
    """Six colours side by side, (32, 96, 3)."""
    return np.repeat(np.array(PATCHES, np.uint8), 16, axis=0)[None].repeat(32, axis=0)


def stored(picture: Frames, transfer: int, white: float) -> Any:
    """BT.709 RGB to BT.2020 in HLG or PQ, 16 bits; `white` in cd/m²."""
    light = (picture / 255) ** 2.4 @ TO_BT2020.T * white
    if transfer == PQ:
        power = (light / 10_000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    elif transfer == HLG:
        scene = (light / 1000) ** (1 / 1.2)
        high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    else:
        code = (light / white) ** (1 / 2.4)
    return np.rint(65535 * code).astype(np.uint16)


def clip(
    picture: Any, transfer: int, primaries: int = BT2020, *, pix_fmt: str = "yuv444p10le"
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries = 9, transfer, primaries
        for number in range(24):
            marked = picture.copy()
            marked[-8:] = marked[-8:] // 24 * number  # a clip must show different pictures
            frame = av.VideoFrame.from_ndarray(marked, format="rgb48le")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=9)
            frame.color_trc, frame.color_primaries, frame.pts = transfer, primaries, number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_high_dynamic_range_is_the_sdr_picture_again(transfer: int) -> None:
    decoded = read_clip(clip(stored(patches(), transfer, WHITE), transfer), spec())
    found = decoded.frames[0, 16, 8::16].astype(int)  # the middle of each patch
    np.testing.assert_allclose(found, PATCHES, atol=4)
    assert ClipWarning.HDR not in decoded.warnings


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_where_nothing_is_brighter_than_100_that_is_taken_for_white(transfer: int) -> None:
    decoded = read_clip(clip(stored(patches(), transfer, LOW_WHITE), transfer), spec())
    np.testing.assert_allclose(decoded.frames[0, 16, 8::16].astype(int), PATCHES, atol=4)
    assert ClipWarning.HDR in decoded.warnings  # it is a guess


def test_what_is_brighter_than_white_is_white() -> None:
    decoded = read_clip(clip(stored(patches(), PQ, 4 * WHITE), PQ), spec())
    assert (decoded.frames[0, 16, 8] >= 254).all()
    assert ClipWarning.HDR not in decoded.warnings


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
def test_wide_gamut_without_high_range(pix_fmt: str) -> None:
    data = clip(stored(patches(), BT709, WHITE), BT709, pix_fmt=pix_fmt)
    decoded = read_clip(data, spec())
    np.testing.assert_allclose(
        decoded.frames[0, 16, 8::16].astype(int), PATCHES, atol=8
    )  # of 8 bits
    assert ClipWarning.HDR not in decoded.warnings


def test_colours_are_brought_to_the_order_of_the_spec() -> None:
    data = clip(stored(patches(), HLG, WHITE), HLG)
    rgb = read_clip(data, spec()).frames
    bgr = read_clip(data, dataclasses.replace(spec(), colour_order="bgr")).frames
    np.testing.assert_array_equal(rgb[..., ::-1], bgr)


def test_bt2020_without_a_transfer_is_guessed_and_asks_for_review() -> None:
    decoded = read_clip(clip(stored(patches(), HLG, WHITE), UNTAGGED), spec())
    np.testing.assert_allclose(decoded.frames[0, 16, 8::16].astype(int), PATCHES, atol=4)
    assert ClipWarning.HDR in decoded.warnings
    reasons = review_reasons(None, blank=[False], warnings=decoded.warnings)
    assert ReviewReason.COLOURS_GUESSED in reasons


def tags(transfer: int, primaries: int, matrix: int, depth: int = 10) -> ColourTags:
    return ColourTags(transfer=transfer, primaries=primaries, matrix=matrix, depth=depth)


@pytest.mark.parametrize(
    ("said", "as_stored", "guessed"),
    [
        (tags(UNTAGGED, UNTAGGED, UNTAGGED, 8), True, False),
        (tags(UNTAGGED, UNTAGGED, UNTAGGED), True, False),
        (tags(BT709, BT709, 1), True, False),
        (tags(6, 6, 6, 8), True, False),  # BT.601
        (tags(13, BT709, 1, 8), True, False),  # sRGB is encoded like BT.709
        (tags(BT709, P3, 1), False, False),
        (tags(UNTAGGED, BT2020, 9, 8), False, False),  # eight bits are no high range
        (tags(UNTAGGED, BT2020, 9), False, True),
        (tags(HLG, UNTAGGED, 9), False, False),  # the primaries follow from the matrix
        (tags(HLG, UNTAGGED, UNTAGGED), False, True),
        (tags(PQ, BT2020, 14), False, True),  # ICtCp
        (tags(UNTAGGED, UNTAGGED, 8, 8), True, True),  # YCgCo
        (tags(8, BT709, 1), True, True),  # linear
        (tags(0, 0, 3, 8), True, False),  # reserved says nothing
    ],
)
def test_what_tags_mean(said: ColourTags, as_stored: bool, guessed: bool) -> None:
    colours = ColourConversion(said)
    assert (colours.as_stored, colours.guessed) == (as_stored, guessed)


def test_dolby_vision_without_tags_is_guessed() -> None:
    assert ColourConversion(tags(UNTAGGED, UNTAGGED, UNTAGGED), dolby=True).guessed
    assert not ColourConversion(tags(HLG, BT2020, 9), dolby=True).guessed  # a base that others read


def test_who_describes_a_mastering_display_means_pq() -> None:
    code = np.full((1, 1, 3), 40_000, np.uint16)
    pq = ColourConversion(tags(PQ, BT2020, 9)).light(code)
    mastered = ColourConversion(tags(UNTAGGED, BT2020, 9), mastered=True).light(code)
    np.testing.assert_array_equal(pq, mastered)


def test_a_few_bright_pixels_are_noise() -> None:
    meter = WhiteLevelDetector()
    light = np.full((50, 50, 3), 0.3, np.float32)
    light[0, :2] = 1
    meter.add(light)
    assert meter.white == LOW_WHITE
    light[0] = 1
    meter.add(light)
    assert meter.white == WHITE


def test_light_and_shown_are_inverses_for_sdr() -> None:
    every = np.arange(256, dtype=np.uint16)[:, None, None].repeat(3, axis=2) * 257
    light = ColourConversion(tags(BT709, BT2020, 9)).light(every)
    np.testing.assert_array_equal(encoded(light, WHITE)[:, 0, 0], np.arange(256))  # grey stays


@pytest.mark.parametrize("matrix", [8, 10, 14])
def test_matrices_that_swscale_does_not_know_are_read_all_the_same(matrix: int) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace = matrix
        for number in range(16):
            planes = np.stack([np.full((32, 32), value, np.uint8) for value in (120, 128, 128)])
            planes[0, :, 2 * number :] -= 60
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.colorspace, frame.pts = matrix, number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    decoded = read_clip(file.getvalue(), spec())
    assert np.ptp(decoded.frames[0].astype(int)) <= 3  # grey
    assert ClipWarning.HDR in decoded.warnings
