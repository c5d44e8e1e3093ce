"""Frames of real files of all rates, found again in the clips that are made of them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.clip import read_clip
from model_store.spec import DIVING
from model_store.video.frame_files import FrameFiles
from tests.clips import lossless, numbered, numbers
from training.data.datasets.stage_starts import StageStarts
from training.data.file_times import FileTimes

SPEC = DIVING.with_size((32, 32), (32, 32))  # 30 frames a second
SLOW_IN_THE_MIDDLE = [*range(0, 60, 2), *range(60, 120, 6), *range(120, 150)]  # sixtieths

# A file, the frames of it in which stages begin, and the frames of the clip, worked out by hand.
FILES = {
    "30": (lossless(numbered(60)), "0 8 9 40 58", [0, 8, 9, 40, 58]),
    # Clip frame k shows 2k.
    "60": (lossless(numbered(120), fps=60), "0 31 42 88 97", [0, 16, 21, 44, 49]),
    # It shows the frame nearest to 5k/3: 0 2 3 5 7 8 10…; 18 and 19 show 30 and 32.
    "50": (lossless(numbered(100), fps=50), "0 31 42 88 97", [0, 19, 25, 53, 58]),
    # It shows the frame nearest to 5k/6, the earlier of two: 0 1 2 2 3 4 5…
    "25": (lossless(numbered(50), fps=25), "0 3 15 40 44", [0, 4, 18, 48, 53]),
    # Thirty frames of 1/30 s, ten of 1/10 s, thirty of 1/60 s.
    "variable": (
        lossless(numbered(70), pts=SLOW_IN_THE_MIDDLE, time_base=Fraction(1, 60)),
        "0 30 35 40 51",
        [0, 30, 45, 60, 66],
    ),
    # The sound begins half a second before the pictures do.
    "late": (lossless(numbered(60), pts=range(15, 75), audio=True), "0 9 41", [0, 9, 41]),
}  # fmt: skip


def times_of(source: bytes | FrameFiles) -> FileTimes:
    return FileTimes.of(read_clip(source, SPEC), SPEC)


def first_frames(times: FileTimes, starts: StageStarts) -> list[int]:
    stages = times.stages(starts)
    assert len(stages) == times.length
    return [int(np.argmax(stages >= s)) for s in range(len(starts))]


@pytest.mark.parametrize("name", FILES)
def test_stages_begin_where_the_clip_shows_their_first_frame(name: str) -> None:
    content, text, expected = FILES[name]
    starts = StageStarts.parse(text)
    times = times_of(content)
    assert first_frames(times, starts) == expected
    pixels = numbers(read_clip(content, SPEC).frames)  # what the clip shows, frame by frame
    assert list(times.shown) == pixels
    for stage, (first, begin) in enumerate(zip(starts.moments, expected, strict=True)):
        assert pixels[begin] >= first, stage
        assert begin == 0 or pixels[begin - 1] < first


@pytest.mark.parametrize("name", FILES)
def test_seconds_say_the_same(name: str) -> None:
    content, text, expected = FILES[name]
    times = times_of(content)
    seconds = [times.seconds[int(frame)] for frame in text.split()]
    rounded = StageStarts.parse(" ".join(f"{moment:.3f}s" for moment in seconds))
    assert first_frames(times, rounded) == expected


def test_seconds_are_those_of_a_players_clock() -> None:
    times = times_of(FILES["late"][0])
    assert times.seconds[0] == pytest.approx(0.5)
    assert first_frames(times, StageStarts.parse("0.5s 0.8s")) == [0, 9]


def test_a_folder_of_frames_has_the_rate_that_it_states(tmp_path: Path) -> None:
    for number, pixels in enumerate(numbered(50)):
        Image.fromarray(pixels).save(tmp_path / f"{number:03d}.jpg")
    files = FrameFiles(tuple(sorted(tmp_path.iterdir())), Fraction(25))
    assert first_frames(times_of(files), StageStarts((0, 3, 15, 40, 44))) == [0, 4, 18, 48, 53]


def test_of_a_longer_clip_all_of_it_is_known() -> None:
    times = times_of(lossless(numbered(520), fps=60))
    assert times.length == 260
    assert first_frames(times, StageStarts((0, 460))) == [0, 230]


@pytest.mark.parametrize(("text", "found"), [("0 60", "60 frames"), ("0s 2.1s", r"ends at 2\.00s")])
def test_a_stage_that_begins_after_the_end_is_refused(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=f"stages begin at {text}, the file.* {found}"):
        times_of(FILES["30"][0]).stages(StageStarts.parse(text))


def test_before_the_first_stage_there_is_none() -> None:
    times = times_of(FILES["30"][0])
    assert times.stages(StageStarts((8, 20)))[[0, 7, 8, 19, 20]].tolist() == [-1, -1, 0, 0, 1]
