"""Black bars are cut off; what is merely dark is not."""

import io
from typing import Any

import numpy as np
import pytest

from model_store.clip import ClipWarning, decode, read_clip
from model_store.spec import SPECS, ClipSpec
from model_store.video.reader import ClipReader
from tests.clips import Frames, clip_of, lossless, moving_square

H, W = 96, 128
SPEC = SPECS["diving"].with_size((48, 64), (48, 64))


def barred(pads: tuple[int, int, int, int], *, black: Any = 0, count: int = 20) -> Frames:
    """A lively picture with rows and columns of black: above, below, left, right."""
    top, bottom, left, right = pads
    inside = moving_square(count, H, W)
    clip = np.zeros((count, top + H + bottom, left + W + right, 3), np.uint8)
    clip[:] = black
    clip[:, top : top + H, left : left + W] = inside
    return clip


PADS = {
    "letterbox": (24, 24, 0, 0),
    "pillars": (0, 0, 30, 30),
    "window": (16, 16, 24, 24),
    "uneven": (10, 30, 0, 0),
    "portrait": (120, 120, 0, 0),
    "one side": (0, 20, 0, 0),
}


@pytest.mark.parametrize("pads", PADS.values(), ids=PADS)
def test_bars_are_cut_off_before_scaling(pads: tuple[int, int, int, int]) -> None:
    plain = decode(lossless(moving_square(20, H, W)), SPEC)
    decoded = read_clip(lossless(barred(pads)), SPEC)
    np.testing.assert_array_equal(decoded.frames, plain)
    assert decoded.warnings == (ClipWarning.BARS,)
    size = H + pads[0] + pads[1], W + pads[2] + pads[3]
    assert (decoded.info.height, decoded.info.width) == size  # as the file has it


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_bars_of_a_turned_picture(rotation: int) -> None:
    plain = decode(lossless(moving_square(20, H, W), rotation=rotation), SPEC)
    decoded = read_clip(lossless(barred(PADS["uneven"]), rotation=rotation), SPEC)
    np.testing.assert_array_equal(decoded.frames, plain)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
@pytest.mark.parametrize("noise", [0, 6])
def test_bars_that_were_compressed(codec: str, noise: int) -> None:
    clip = barred((24, 24, 0, 0))
    random = np.random.default_rng(0)
    for rows in (slice(0, 24), slice(-24, None)):
        clip[:, rows] = random.integers(0, noise + 1, clip[:, rows].shape)
    more: dict[str, Any] = {"options": {"x265-params": "log-level=error"}}
    if codec == "mjpeg":
        more = {"container": "avi", "pix_fmt": "yuvj420p", "options": {"qmin": "3", "qmax": "3"}}
    plain = decode(clip_of(moving_square(20, H, W), codec=codec, **more), SPEC)
    decoded = read_clip(clip_of(clip, codec=codec, **more), SPEC)
    assert ClipWarning.BARS in decoded.warnings
    assert np.abs(decoded.frames.astype(int) - plain).mean() < 4


def test_the_first_frames_may_be_black_all_over() -> None:
    clip = barred(PADS["letterbox"])
    clip[:3] = 0
    assert read_clip(lossless(clip), SPEC).warnings == (ClipWarning.BARS,)


def test_a_dark_picture_between_bars() -> None:
    clip = barred(PADS["letterbox"])
    clip[:, 24:-24] //= 4
    assert read_clip(lossless(clip), SPEC).warnings == (ClipWarning.BARS,)


def lively() -> Frames:
    return moving_square(20, H, W)


def ragged_ceiling() -> Frames:
    clip = lively()
    depth = 14 + np.cumsum(np.random.default_rng(1).integers(-2, 3, W)).clip(-12, 20)
    for column, rows in enumerate(depth):
        clip[:, :rows, column] = 0
    return clip


def soft_ceiling() -> Frames:
    clip = lively().astype(float)
    clip *= np.linspace(0, 1, H)[:, None, None].clip(0, 1) ** 2
    return clip.astype(np.uint8)


def dark_ceiling() -> Frames:
    clip = lively()
    clip[:, :24] = np.random.default_rng(1).integers(8, 24, (24, W, 1))
    return clip


def black_curtain() -> Frames:
    """A straight edge, black and steady, but the upper half of the picture and only there."""
    clip = lively()
    clip[:, : H // 2] = 0
    return clip


def spotlight() -> Frames:
    clip = lively()
    y, x = np.ogrid[:H, :W]
    clip[:, (y - 48) ** 2 + (x - 64) ** 2 > 40**2] = 0
    return clip


def fade_in() -> Frames:
    return (lively() * np.linspace(0, 1, 20)[:, None, None, None]).astype(np.uint8)


def bars_for_a_while() -> Frames:
    clip = lively()
    clip[:15, :20] = clip[:15, -20:] = 0
    return clip


def leaning_edge() -> Frames:
    clip = lively()
    for column in range(W):
        clip[:, : 10 + column // 8, column] = 0
    return clip


def grey_bars() -> Frames:
    return barred(PADS["letterbox"], black=24)


def thin_bars() -> Frames:
    return barred((1, 1, 2, 2))


def black() -> Frames:
    return np.zeros((20, H, W, 3), np.uint8)


def text_in_a_bar() -> Frames:
    clip = barred((20, 0, 0, 0))
    clip[:, 4:16, 30:60] = 255
    return clip


DARK = [ragged_ceiling, soft_ceiling, dark_ceiling, black_curtain, spotlight, fade_in,
        bars_for_a_while, leaning_edge, grey_bars, thin_bars, black, text_in_a_bar]  # fmt: skip


@pytest.mark.parametrize("clip", DARK, ids=[each.__name__ for each in DARK])
def test_what_is_merely_dark_is_no_bar(clip: Any) -> None:
    read = ClipReader(spec=SPEC).read(io.BytesIO(lossless(clip())))
    assert ClipWarning.BARS not in read.warnings


def test_what_is_cut_off_is_whole_samples_of_chroma() -> None:
    spec = SPECS["diving"].with_size((H, W), (H, W))
    clip = barred((25, 25, 31, 31))  # 4:2:0 halves them
    decoded = read_clip(clip_of(clip, options={"qp": "0"}), spec)
    assert ClipWarning.BARS in decoded.warnings
    edges = decoded.frames[:, [0, -1]].max(axis=3), decoded.frames[:, :, [0, -1]].max(axis=3)
    assert min(edge.mean() for edge in edges) > 30  # no row or column of a bar is left


def test_a_decoder_that_leaves_frames_out_finds_the_same(small: ClipSpec) -> None:
    clip = clip_of(barred(PADS["letterbox"], count=60), fps=60, options={"preset": "fast"})
    every = clip_of(barred(PADS["letterbox"], count=60)[::2], fps=30, options={"qp": "0"})
    a, b = read_clip(clip, SPEC), read_clip(every, SPEC)
    assert a.warnings == b.warnings == (ClipWarning.BARS,)
    assert np.abs(a.frames.astype(int) - b.frames).mean() < 6
