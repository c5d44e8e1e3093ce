"""Frames or seconds, never both."""

import pytest

from training.data.datasets.stage_starts import StageStarts


def test_frames_and_seconds() -> None:
    frames = StageStarts.parse("0 31 42")
    assert (frames.moments, frames.unit, len(frames)) == ((0, 31, 42), "frames", 3)
    seconds = StageStarts.parse("0s 1.03s 1.4s")
    assert (seconds.moments, seconds.unit) == ((0, 1.03, 1.4), "seconds")
    assert StageStarts.parse("0.5s 0.5s").moments == (0.5, 0.5)  # a stage that is not there
    for starts in (frames, seconds):
        assert StageStarts.parse(str(starts)) == starts


@pytest.mark.parametrize(
    "text", ["0 1.4s", "0s 42", "0.0 1.4", "0 s", "-1 3", "0s nans", "0s infs", "0s 1e3s", "0,1,2"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="need frames of the file as 0 31 42, or all in seconds"):
        StageStarts.parse(text)


@pytest.mark.parametrize("text", ["5 2", "1.4s 1.3s"])
def test_they_come_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="need them in order, from 0 on"):
        StageStarts.parse(text)
