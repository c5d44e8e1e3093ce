"""Clips whose frames are JPEG files: the same path as a video of the same pictures."""

import dataclasses
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_store.clip import ClipLimits, FrameFiles, load_clip, read_clip
from model_store.errors import ClipTooLarge, NotAVideo, UnusableClip
from model_store.spec import ClipSpec
from tests.clips import Frames, moving_square, numbered

FPS = Fraction(30)


def write(folder: Path, frames: Frames, **options: Any) -> tuple[Path, ...]:
    paths: list[Path] = []
    for number, picture in enumerate(frames):
        paths.append(folder / f"{number:05d}.jpg")
        Image.fromarray(picture).save(paths[-1], **{"quality": 95, "subsampling": 0} | options)
    return tuple(paths)


def test_pixels_are_those_that_another_decoder_sees(tmp_path: Path, small: ClipSpec) -> None:
    """Pillow decodes the same files; colours may be off by the rounding of the conversion."""
    paths = write(tmp_path, moving_square(small.frames, 32, 32))
    decoded = read_clip(FrameFiles(paths, FPS), small)
    expected = np.stack([np.asarray(Image.open(path)) for path in paths]).astype(int)
    assert decoded.frames.shape == expected.shape
    assert np.abs(decoded.frames - expected).max() <= 3
    np.testing.assert_allclose(decoded.times, np.arange(small.frames) / 30, atol=1e-5)
    assert decoded.warnings == ()
    assert decoded.info.codec == "mjpeg"
    assert decoded.info.decoded_frames == small.frames


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (Fraction(30), [0, 1, 2, 3, 4, 5]),
        (Fraction(60), [0, 2, 4, 6, 8, 10]),
        (Fraction(15), [0, 0, 1, 1, 2, 2]),
        (Fraction(30000, 1001), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_stated_rate_is_what_counts(
    tmp_path: Path, small: ClipSpec, fps: Fraction, shown: list[int]
) -> None:
    greys = np.full((40, 16, 16, 3), 6 * np.arange(40)[:, None, None, None], np.uint8)
    frames = read_clip(FrameFiles(write(tmp_path, greys), fps), small).frames
    assert np.rint(frames[:6, 16, 16].mean(axis=1) / 6).tolist() == shown


def test_the_order_is_that_of_the_paths(tmp_path: Path, small: ClipSpec) -> None:
    paths = write(tmp_path, moving_square(20, 32, 32))
    forward = read_clip(FrameFiles(paths, FPS), small).frames
    backward = read_clip(FrameFiles(paths[::-1], FPS), small).frames
    np.testing.assert_array_equal(forward, backward[::-1])


def test_the_same_files_give_the_same_bytes(tmp_path: Path, small: ClipSpec) -> None:
    files = FrameFiles(write(tmp_path, moving_square(20, 32, 32)), FPS)
    assert files.video() == files.video()
    by_file = load_clip(io.BytesIO(files.video()), small)
    np.testing.assert_array_equal(load_clip(files, small), by_file)
    assert str(files) == f"{tmp_path / '00000.jpg'}…00019.jpg"


def test_long_clips_keep_their_end(tmp_path: Path, small: ClipSpec) -> None:
    paths = write(tmp_path, moving_square(small.frames + 9, 32, 32))
    whole = read_clip(FrameFiles(paths, FPS), small)
    end = read_clip(FrameFiles(paths[9:], FPS), small)
    np.testing.assert_array_equal(whole.frames, end.frames)


def test_limits_hold(tmp_path: Path, small: ClipSpec) -> None:
    files = FrameFiles(write(tmp_path, moving_square(20, 32, 32)), FPS)
    with pytest.raises(ClipTooLarge, match="more than 19 frames"):
        read_clip(files, small, limits=dataclasses.replace(ClipLimits(), max_frames=19))
    with pytest.raises(UnusableClip, match="15 frames, need at least 16"):
        read_clip(FrameFiles(files.paths[:15], FPS), small)


def test_what_is_no_picture_is_named(tmp_path: Path, small: ClipSpec) -> None:
    paths = write(tmp_path, moving_square(20, 32, 32))
    with pytest.raises(UnusableClip, match="0 frames"):
        read_clip(FrameFiles((), FPS), small)
    paths[0].write_bytes(paths[0].read_bytes()[:20])
    with pytest.raises(NotAVideo, match=r"00000.jpg is not a JPEG file that decodes"):
        read_clip(FrameFiles(paths, FPS), small)
    Image.fromarray(numbered(1)[0]).save(tmp_path / "picture.png")
    with pytest.raises(NotAVideo, match=r"picture.png is not a JPEG file"):
        read_clip(FrameFiles((*paths[1:], tmp_path / "picture.png"), FPS), small)
    paths[1].unlink()
    with pytest.raises(NotAVideo, match=r"00001.jpg cannot be read"):
        read_clip(FrameFiles(paths, FPS), small)
