"""The routine out of a recording: where it is, and that its pixels are the same to the last bit."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.clip import ClipLimits, prepare_clip, read_clip
from model_store.clip_warning import ClipWarning
from model_store.errors import ClipTooLarge, InvalidTrim, UnusableClip
from model_store.finding.finder import FOUND_ACTIONS
from model_store.spec import SPECS, ClipSpec
from model_store.video.reader import ClipReader
from tests.clips import clip_of, numbered
from tests.recordings import FPS, NEAR, stored, uncut_dive, uncut_file
from training.measure.stored_copies import STORAGE_VARIANTS
from training.simulator.uncut import UncutRecording, simulate_recording

SPEC = SPECS["diving"].with_size((72, 96), (64, 64))


@pytest.fixture(scope="module")
def dive() -> UncutRecording:
    return uncut_dive()


@pytest.fixture(scope="module")
def file() -> bytes:
    return uncut_file()


def check_same_pixels(file: bytes, spec: ClipSpec = SPEC, start_s: float | None = None) -> Any:
    """Found, and read at the times that were found: no bit differs, nor does a warning."""
    found = read_clip(file, spec, find=True, start_s=start_s)
    assert found.found is not None
    begin, end = found.found.span
    told = read_clip(file, spec, start_s=begin, end_s=end)
    np.testing.assert_array_equal(found.frames, told.frames)
    np.testing.assert_array_equal(found.times, told.times)
    doubts = {ClipWarning.NO_ROUTINE, ClipWarning.SEVERAL_ROUTINES}
    assert {*found.warnings} - doubts == {*told.warnings}
    assert dataclasses.replace(found, found=None, warnings=told.warnings).info == told.info
    one, other = (prepare_clip(each, spec) for each in (found, told))
    np.testing.assert_array_equal(one.frames, other.frames)
    return found


def test_a_dive_is_found(dive: UncutRecording, file: bytes) -> None:
    found = check_same_pixels(file)
    [routine] = dive.routines
    begin, end = (round(second * FPS) for second in found.found.span)
    assert abs(begin - routine.start) <= NEAR
    assert abs(end - routine.stop) <= NEAR
    assert ClipWarning.NO_ROUTINE not in found.warnings
    assert ClipWarning.SEVERAL_ROUTINES not in found.warnings


def test_two_dives_are_two_choices() -> None:
    recording = simulate_recording("diving", 4711, 8, "several", around_s=3.0)
    found = check_same_pixels(stored(recording.frames))
    assert ClipWarning.SEVERAL_ROUTINES in found.warnings

    def shown_by(span: tuple[float, float]) -> int:
        """Which of the routines lies in it, but for a quarter."""
        frames = {*range(round(span[0] * FPS), round(span[1] * FPS))}
        shares = [len(frames & {*shown}) / len(shown) for shown in recording.routines]
        assert max(shares) > 0.75
        return int(np.argmax(shares))

    assert shown_by(found.found.span) != shown_by(found.found.second)


def test_a_part_is_searched(dive: UncutRecording, file: bytes) -> None:
    [routine] = dive.routines
    start = (routine.start - 20) / FPS
    found = check_same_pixels(file, start_s=start)
    assert found.found.span[0] >= start


@pytest.mark.parametrize("name", ["25 fps", "60 fps", "variable rate"])
def test_the_same_pixels_however_it_is_stored(dive: UncutRecording, name: str) -> None:
    check_same_pixels(stored(dive.frames, STORAGE_VARIANTS[name]))


@pytest.mark.parametrize(
    "name", ["pillars", "interlaced", pytest.param("HLG", marks=pytest.mark.slow)]
)
def test_the_same_pixels_where_all_frames_decide(dive: UncutRecording, name: str) -> None:
    """Bars, fields and white are detected from the frames of a clip, and not of the recording."""
    [routine] = dive.routines
    near = dive.frames[max(routine.start - 25, 0) : routine.stop + 25]
    check_same_pixels(stored(near, STORAGE_VARIANTS[name]))


def test_the_same_pixels_where_only_the_routine_has_bars(dive: UncutRecording) -> None:
    [routine] = dive.routines
    frames = dive.frames[: routine.stop + 20].copy()
    dark = slice(routine.start - 20, None)
    frames[dark, :, :60] = frames[dark, :, -60:] = 0
    found = check_same_pixels(stored(frames))
    assert ClipWarning.BARS in found.warnings


def test_the_same_pixels_in_the_other_order_of_colours(file: bytes) -> None:
    other = dataclasses.replace(SPEC, colour_order="bgr")
    found, turned = check_same_pixels(file), check_same_pixels(file, other)
    assert found.found is not None
    assert turned.found is not None
    # Colours are rounded otherwise, and where two frames are as likely the other one may be taken.
    assert turned.found.span == pytest.approx(found.found.span, abs=0.05)
    if turned.found.span == found.found.span:
        apart = found.frames.astype(int) - turned.frames[..., ::-1]
        assert np.abs(apart).max() < 10


def test_a_damaged_recording_has_the_same_pixels(file: bytes) -> None:
    damaged = bytearray(file)
    middle = len(file) // 3
    damaged[middle : middle + 40] = bytes(40)
    check_same_pixels(bytes(damaged))


def test_a_clip_is_taken_whole(dive: UncutRecording) -> None:
    [routine] = dive.routines
    short = stored(dive.frames[routine.start : routine.stop])
    found = check_same_pixels(short)
    assert found.found.span == (0.0, round(len(routine) / FPS, 4))
    assert found.found.second is None
    plain = read_clip(short, SPEC)
    np.testing.assert_array_equal(found.frames, plain.frames)
    assert found.warnings == plain.warnings


def test_it_is_decoded_once(file: bytes) -> None:
    seen: list[tuple[int, int]] = []
    read_clip(file, SPEC, find=True, on_frame=lambda done, of: seen.append((done, of)))
    assert [done for done, _ in seen] == list(range(1, seen[0][1] + 1))


def test_a_reader_that_is_stopped_stops(file: bytes) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, of: int) -> None:
        if done == 30:
            raise Enough

    with pytest.raises(Enough):
        read_clip(file, SPEC, find=True, on_frame=stop)


def test_nothing_to_find(dive: UncutRecording) -> None:
    """A camera that waits, and shakes a little."""
    rng = np.random.default_rng(0)
    frames = [np.roll(dive.frames[0], rng.integers(-3, 4, 2), axis=(0, 1)) for _ in range(160)]
    try:
        found = check_same_pixels(stored(np.array(frames)))
    except UnusableClip:
        return  # no different pictures enough
    assert ClipWarning.NO_ROUTINE in found.warnings


def test_hostile_recordings() -> None:
    with pytest.raises(UnusableClip):
        read_clip(clip_of(numbered(1, 64, 64)), SPEC, find=True)
    black = np.zeros((400, 64, 64, 3), np.uint8)
    with pytest.raises(UnusableClip):
        read_clip(clip_of(black), SPEC, find=True)
    with pytest.raises(UnusableClip):
        read_clip(clip_of(black[:100]), SPEC, find=True)


def test_limits_hold(file: bytes) -> None:
    with pytest.raises(ClipTooLarge):
        read_clip(file, SPEC, find=True, limits=ClipLimits(max_seconds=5))
    with pytest.raises(ClipTooLarge):
        read_clip(file, SPEC, find=True, limits=ClipLimits(max_frames=200))
    with pytest.raises(InvalidTrim):
        read_clip(file, SPEC, find=True, start_s=1000)


def test_an_action_without_a_finder_is_refused(file: bytes) -> None:
    assert set(FOUND_ACTIONS) == {"diving", "vault"}
    with pytest.raises(InvalidTrim, match="find knows diving and vault, not skating"):
        read_clip(file, SPECS["skating"], find=True)


def test_no_file_is_searched_twice_by_name(file: bytes, tmp_path: Path) -> None:
    """By path, in memory and from an open file alike."""
    path = tmp_path / "dive.mp4"
    path.write_bytes(file)
    from_path, from_memory, from_file = (
        read_clip(source, SPEC, find=True) for source in (path, file, io.BytesIO(file))
    )
    assert from_path.found == from_memory.found == from_file.found
    np.testing.assert_array_equal(from_path.frames, from_file.frames)
    assert ClipReader(spec=SPEC).read(io.BytesIO(file)).found is None
