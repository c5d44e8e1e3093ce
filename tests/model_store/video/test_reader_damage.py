"""Files that are damaged or end early."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import ClipLimits, ClipWarning, decode, read_clip
from model_store.errors import UnusableClip
from model_store.spec import ClipSpec
from tests.clips import (
    LOSSLESS,
    clip_of,
    lossless,
    moving_square,
    numbered,
    numbers,
    write_clip,
)

INTRA = LOSSLESS["options"] | {"g": "1"}


@pytest.mark.parametrize("broken", [[50], [0], [99], [10, 11, 12, 60]])
def test_damaged_frames_are_left_out(broken: list[int], small: ClipSpec) -> None:
    decoded = read_clip(damage(lossless(numbered(100), options=INTRA), broken), small)
    whole = [i for i in range(100) if i not in broken]
    first, last = whole[0], whole[-1]
    expected = [max(i for i in whole if i <= max(k, first)) for k in range(first, last + 1)]
    assert numbers(decoded.frames) == expected
    assert decoded.info.decoded_frames == 100 - len(broken)
    if broken != [99]:  # FFmpeg does not report the last one
        assert decoded.info.errors == len(broken)
        missing = (ClipWarning.TRUNCATED,) if broken == [0] else ()  # nothing to begin with
        assert decoded.warnings == (*missing, ClipWarning.DECODE_ERRORS)


def test_damage_in_what_is_not_needed_does_not_matter(small: ClipSpec) -> None:
    data = lossless(numbered(400), options=LOSSLESS["options"] | {"g": "25"})
    damaged = damage(data, [3, 60])
    decoded = read_clip(damaged, small)
    assert numbers(decoded.frames) == list(range(249, 400))
    assert decoded.info.errors == 0


def test_smeared_frames_are_counted(small: ClipSpec) -> None:
    options = {"x264-params": "slices=4:scenecut=0:cabac=0"}
    data = clip_of(moving_square(60, 64, 64), options=options)
    decoded = read_clip(damage(data, [30, 31], share=0.4), small)
    assert len(decoded.frames) == 60
    assert decoded.info.errors >= 2
    assert decoded.warnings == (ClipWarning.DECODE_ERRORS,)


def test_damage_is_measured_on_the_whole_file(small: ClipSpec) -> None:
    data = lossless(numbered(400), options=INTRA)
    broken = [i for i in range(270, 390) if i % 5]  # 96 of the last 151
    decoded = read_clip(damage(data, broken), small)
    assert decoded.info.errors == len(broken)
    assert numbers(decoded.frames)[-11:] == [385, *range(390, 400)]


def test_damage_that_leaves_too_little(small: ClipSpec) -> None:
    data = lossless(numbered(100), options=INTRA)
    with pytest.raises(UnusableClip, match="of 100 frames are damaged, allowed are 50%"):
        decode(damage(data, list(range(0, 100, 3)) + list(range(1, 100, 3))), small)
    limits = ClipLimits(max_error_share=1.0)
    with pytest.raises(UnusableClip, match="0 frames, need at least 16"):
        read_clip(damage(data, range(100)), small, limits=limits)


@pytest.mark.parametrize("container", ["mp4", "matroska", "webm", "avi"])
def test_a_file_that_ends_early(container: str, tmp_path: Path, small: ClipSpec) -> None:
    codec: dict[str, Any] = {"codec": "libvpx"} if container == "webm" else LOSSLESS
    frames = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    index_first = {"movflags": "faststart"} if container == "mp4" else {}
    path = tmp_path / "clip"
    sound: dict[str, Any] = {"audio": 1.0} if container in ("mp4", "matroska") else {}
    write_clip(path, frames, container=container, container_options=index_first, **codec, **sound)
    data = path.read_bytes()
    whole = read_clip(data, small)
    assert whole.warnings == ()
    half = read_clip(data[: len(data) // 2], small)
    assert {ClipWarning.TRUNCATED, ClipWarning.DECODE_ERRORS} & set(half.warnings)
    assert (ClipWarning.TRUNCATED in half.warnings) or container == "avi"
    assert 30 < len(half.frames) < 70
    np.testing.assert_array_equal(half.frames[:30], whole.frames[:30])
    if sound:  # which is no reason for a warning, and hides none
        nearly = read_clip(data[: int(0.97 * len(data))], small)
        assert ClipWarning.TRUNCATED in nearly.warnings


def damage(data: bytes, indexes: Sequence[int], share: float = 1.0) -> bytes:
    """Overwrite the end of some packets of an mp4, all but the length that comes first."""
    broken = bytearray(data)
    with av.open(io.BytesIO(data), "r") as container:
        for index, packet in enumerate(container.demux(video=0)):
            if index in indexes and packet.pos is not None:
                spoilt = int((packet.size - 4) * share)
                end = packet.pos + packet.size
                broken[end - spoilt : end] = b"\xff" * spoilt
    return bytes(broken)
