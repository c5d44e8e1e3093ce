"""Files whose times are wrong in a few places, jump, or say little about how long they are."""

import io
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import ClipLimits, ClipWarning, read_clip
from model_store.errors import ClipTooLarge, NotAVideo, UnusableClip
from model_store.spec import SPECS, ClipSpec
from tests.clips import LOSSLESS, clip_of, lossless, moving_square, numbered, numbers

PLAIN = LOSSLESS["options"] | {"g": "1"}
REORDERED = {"qp": "1", "bf": "3", "b_strategy": "0", "sc_threshold": "0"}
UNEVEN = [
    2 * i - i % 2 for i in range(60)
]  # of a sixtieth second: every entry of stts stands alone


def restored(
    data: bytes, pts: Callable[[int, int], int | None], container: str = "matroska"
) -> bytes:
    """The same packets with other times, in milliseconds, given their place and time."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", format=container) as output:
        [video] = source.streams.video
        copy: Any = output.add_stream_from_template(video)
        for place, packet in enumerate(source.demux(video)):
            if not packet.size or packet.pts is None:
                continue
            time = round(packet.pts * packet.time_base * 1000)
            packet.time_base = Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = pts(place, time), place, 33
            packet.stream = copy
            output.mux(packet)
    return buffer.getvalue()


def with_one_time_twice(place: int) -> bytes:
    """Picture `place` + 1 has the time of the one before; the following ones are in time."""
    data = bytearray(lossless(numbered(60), options=PLAIN, pts=UNEVEN, time_base=Fraction(1, 60)))
    at = data.index(b"stts") + 12 + 8 * place
    (one, step), (other, next_step) = struct.iter_unpack(">II", data[at : at + 16])
    assert one == other == 1
    struct.pack_into(">IIII", data, at, 1, 0, 1, step + next_step)
    return bytes(data)


@pytest.mark.parametrize("place", [0, 7, 30, 57])
def test_a_time_that_comes_twice_costs_one_picture(place: int, small: ClipSpec) -> None:
    whole = read_clip(
        lossless(numbered(60), options=PLAIN, pts=UNEVEN, time_base=Fraction(1, 60)), small
    )
    decoded = read_clip(with_one_time_twice(place), small)
    assert decoded.warnings == (ClipWarning.TIMES_REPAIRED,)
    assert decoded.info.decoded_frames == 59
    assert len(decoded.frames) == len(whole.frames)
    shown, sound = np.array(numbers(decoded.frames)), np.array(numbers(whole.frames))
    assert (shown != sound).sum() <= 2
    assert np.abs(shown - sound).max() <= 1


@pytest.mark.parametrize("wrong", [-400, -40, 40, 400, 4000])
@pytest.mark.parametrize("container", ["matroska", "mpegts"])
def test_a_time_that_is_wrong_costs_one_picture(
    wrong: int, container: str, small: ClipSpec
) -> None:
    def pts(place: int, time: int) -> int:
        return 5000 + time + (wrong if place == 20 else 0)

    decoded = read_clip(restored(lossless(numbered(60), options=PLAIN), pts, container), small)
    assert decoded.warnings == (ClipWarning.TIMES_REPAIRED,)
    shown = numbers(decoded.frames)
    assert len(shown) == 60
    assert sum(a != b for a, b in zip(shown, range(60), strict=True)) <= 1


def test_wrong_times_where_only_some_frames_are_decoded(small: ClipSpec) -> None:
    options = LOSSLESS["options"] | {"g": "10"}
    data = restored(
        lossless(numbered(400), options=options),
        lambda place, time: time - (100 if place == 300 else 0) + 1000,
    )
    decoded = read_clip(data, small)
    assert ClipWarning.TIMES_REPAIRED in decoded.warnings
    expected = [299 if number == 300 else number for number in range(249, 400)]
    assert numbers(decoded.frames) == expected


def test_many_wrong_times_are_not_believed(small: ClipSpec) -> None:
    data = restored(
        lossless(numbered(60), options=PLAIN),
        lambda place, time: 1000 + time - 60 * (place % 8 == 5),
    )
    decoded = read_clip(data, small)
    assert ClipWarning.TIMES_ASSUMED in decoded.warnings
    assert numbers(decoded.frames) == list(range(60))


def test_times_of_decoding_in_place_of_those_of_showing(small: ClipSpec) -> None:
    """As writers store them that do not know of pictures in another order."""
    uneven = [33, 67] * 40
    ends = np.cumsum(uneven).tolist()
    data = restored(
        lossless(numbered(60), options=REORDERED), lambda place, _: ends[place], "matroska"
    )
    right = restored(lossless(numbered(60), options=PLAIN), lambda place, _: ends[place])
    decoded = read_clip(data, small)
    assert decoded.warnings == (ClipWarning.TIMES_REPAIRED, ClipWarning.LOW_FRAME_RATE)
    assert numbers(decoded.frames) == numbers(read_clip(right, small).frames)


def transport(first: int, count: int, start: int) -> bytes:
    """Numbered frames from `first`, the clock at `start` frames."""
    return lossless(
        numbered(count, first=first), container="mpegts", pts=range(start, start + count)
    )


@pytest.mark.parametrize("jump", [3600 * 30, 30 * 30, 60, -50, -20])
def test_a_jump_of_a_broadcast_clock_is_a_cut(jump: int, small: ClipSpec) -> None:
    data = transport(0, 60, 100) + transport(60, 60, 160 + jump)
    decoded = read_clip(data, small)
    assert ClipWarning.CLOCK_JUMP in decoded.warnings
    assert ClipWarning.TIMES_ASSUMED not in decoded.warnings
    assert numbers(decoded.frames) == list(range(120))
    np.testing.assert_allclose(decoded.times, np.arange(120) / 30, atol=1e-4)
    part = read_clip(data, small, start_s=1.0, end_s=3.0)
    assert numbers(part.frames) == list(range(30, 90))


def test_a_broadcast_that_was_cut_anywhere_lacks_its_beginning(small: ClipSpec) -> None:
    data = lossless(
        numbered(90), container="mpegts", options=LOSSLESS["options"] | {"g": "30", "bf": "0"}
    )
    assert read_clip(data, small).warnings == ()
    packets = len(data) // 188
    decoded = read_clip(data[188 * (packets // 6) :], small)
    assert numbers(decoded.frames) == list(range(30, 90))
    assert decoded.warnings == (ClipWarning.TRUNCATED,)


def test_a_pause_lasts_as_long_as_a_file_says(small: ClipSpec) -> None:
    pts = [*range(40), *range(100, 140)]  # two seconds in which the camera was paused
    for container in ("mp4", "matroska"):
        decoded = read_clip(lossless(numbered(80), pts=pts, container=container), small)
        assert numbers(decoded.frames) == [*range(40), *[39] * 60, *range(40, 80)]
        assert decoded.warnings == ()


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize("first", [0, 60])
def test_sound_is_no_measure_of_the_pictures(container: str, first: int, small: ClipSpec) -> None:
    data = lossless(numbered(60), pts=range(first, first + 60), container=container, audio=6.5)
    decoded = read_clip(data, small)
    assert decoded.warnings == ()
    assert numbers(decoded.frames) == list(range(60))


def test_a_live_recording_that_is_cut_off_says_so(small: ClipSpec) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    data = lossless(frames, container="matroska", container_options={"live": "1"})
    assert read_clip(data, small).warnings == ()
    assert ClipWarning.TRUNCATED in read_clip(data[: len(data) // 2], small).warnings


def held(seconds: float) -> bytes:
    """Sixty frames in an mp4 file, the last of which lasts."""
    data = bytearray(lossless(numbered(60), options=PLAIN, pts=UNEVEN, time_base=Fraction(1, 60)))
    at = data.index(b"stts")
    entries = struct.unpack_from(">I", data, at + 8)[0]
    last = at + 12 + 8 * (entries - 1)
    count, step = struct.unpack_from(">II", data, last)
    assert count == 1
    more = round(seconds * 15360) - step
    struct.pack_into(">I", data, last + 4, step + more)
    for kind, place, scale in ((b"mdhd", 20, 15360), (b"elst", 12, 1000)):
        where = data.index(kind) + place
        duration = struct.unpack_from(">I", data, where)[0]
        struct.pack_into(">I", data, where, duration + round(more * scale / 15360))
    return bytes(data)


def test_a_last_picture_stays_as_long_as_the_file_says(small: ClipSpec) -> None:
    decoded = read_clip(held(1.5), small)
    assert decoded.warnings == ()
    assert decoded.info.duration_s == pytest.approx(UNEVEN[-1] / 60 + 1.5, abs=0.01)
    assert numbers(decoded.frames)[-45:] == [59] * 45
    with pytest.raises(ClipTooLarge, match="allowed are 3 s"):
        read_clip(held(1.5), small, limits=ClipLimits(max_seconds=3))


@pytest.mark.parametrize(
    ("count", "fps", "trimmed"),
    [(151, 30, False), (152, 30, False), (153, 30, True), (126, 25, False), (127, 25, False),
     (128, 25, True), (122, 24, False), (123, 24, True), (152, Fraction(30000, 1001), False),
     (153, Fraction(30000, 1001), True), (303, 60, False), (306, 60, True)],
)  # fmt: skip
def test_a_rounding_is_not_called_trimmed(
    count: int, fps: Fraction, trimmed: bool, small: ClipSpec
) -> None:
    decoded = read_clip(lossless(numbered(count), fps=fps), small)
    assert (ClipWarning.TRIMMED in decoded.warnings) is trimmed


@pytest.mark.parametrize(
    ("tags", "fps", "warnings"),
    [
        ({"com.android.capture.fps": "240"}, 30, (ClipWarning.SLOW_MOTION,)),
        ({"com.android.capture.fps": "30.000000"}, 30, ()),
        ({"com.android.capture.fps": "240"}, 240, ()),
        ({"com.android.capture.fps": "2"}, 30, (ClipWarning.TIME_LAPSE,)),
        ({"com.apple.quicktime.full-frame-rate-playback-intent": "0"}, 30, ()),
        (
            {"com.apple.quicktime.full-frame-rate-playback-intent": "0"},
            240,
            (ClipWarning.SLOW_MOTION,),
        ),
        ({"com.apple.photos.captureMode": "Time-lapse"}, 30, (ClipWarning.TIME_LAPSE,)),
    ],
)
def test_what_the_camera_says_about_its_speed(
    tags: dict[str, str], fps: int, warnings: tuple[ClipWarning, ...], small: ClipSpec
) -> None:
    data = lossless(
        numbered(2 * fps),
        fps=fps,
        container="mov",
        metadata=tags,
        container_options={"movflags": "use_metadata_tags"},
    )
    assert read_clip(data, small).warnings == warnings


def slides(pictures: int, *, each: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(1)
    shown = random.integers(0, 256, (pictures, 8, 8, 3), dtype=np.uint8)
    large = shown.repeat(8, axis=1).repeat(8, axis=2)
    return [picture for picture in large for _ in range(each)]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg", "libvpx"])
def test_a_slide_show_is_no_routine(codec: str, small: ClipSpec) -> None:
    container = {"mjpeg": "avi", "libvpx": "webm"}.get(codec, "mp4")
    pix_fmt = "yuvj420p" if codec == "mjpeg" else None
    data = clip_of(slides(2, each=60), codec=codec, container=container, pix_fmt=pix_fmt)
    with pytest.raises(UnusableClip, match=r"^[2-4] different pictures in 120 frames, need .* 16"):
        read_clip(data, small)


def test_few_pictures_are_reported() -> None:
    spec = SPECS["diving"].with_size((64, 64), (64, 64))
    decoded = read_clip(lossless(slides(20, each=7)), spec)
    assert decoded.warnings == (ClipWarning.FEW_PICTURES,)
    assert read_clip(lossless(slides(50, each=3)), spec).warnings == ()


def test_slow_motion_in_which_nothing_moves_is_named() -> None:
    spec = SPECS["diving"].with_size((64, 64), (64, 64))
    data = clip_of(
        slides(4, each=30),
        container="mov",
        metadata={"com.android.capture.fps": "240"},
        container_options={"movflags": "use_metadata_tags"},
    )
    with pytest.raises(UnusableClip, match=r"different pictures in 120 frames.*slow motion"):
        read_clip(data, spec)


def test_a_dark_clip_has_as_many_pictures(small: ClipSpec) -> None:
    assert read_clip(lossless(moving_square(60, 64, 64) // 10), small).warnings == ()


def part_of(container: str, share: float) -> bytes:
    return clip_of(moving_square(40, 64, 64), container=container)[: int(share * 10_000)]


@pytest.mark.parametrize(
    ("container", "share", "message"),
    [
        ("mp4", 0.1, r"MP4 or QuickTime .* end is missing: 1000 bytes of at least \d+"),
        ("mp4", 0.3, r"MP4 or QuickTime .* end is missing: 3000 bytes of at least \d+"),
        ("matroska", 0.03, r"Matroska or WebM .* end is missing: 300 bytes of at least \d+"),
        ("avi", 0.03, r"AVI .* end is missing: 300 bytes of at least \d+"),
    ],
)
def test_half_an_upload_says_that_it_is_half(
    container: str, share: float, message: str, small: ClipSpec
) -> None:
    with pytest.raises((NotAVideo, UnusableClip)) as caught:
        read_clip(part_of(container, share), small)
    text = str(caught.value)
    assert "end is missing" in text
    if isinstance(caught.value, NotAVideo):
        assert re.search(message, text)


def test_a_file_without_its_index_says_so(small: ClipSpec) -> None:
    data = clip_of(moving_square(40, 64, 64))
    cut = data[: data.rindex(b"moov") - 4]
    with pytest.raises(NotAVideo, match=rf"{len(cut)} bytes and no index \(moov\)"):
        read_clip(cut, small)
