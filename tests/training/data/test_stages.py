"""Stages of the frames that the network sees: of trimmed, padded and resampled clips."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.spec import DIVING, ClipSpec, Pad
from tests.clips import lossless, numbered
from tests.training.bright import at_spec_rate
from training.data.announced import Announced
from training.data.cache import open_cache
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.stage_starts import StageStarts
from training.data.partial_scores import PartialScores
from training.data.stages import stage_shares, stages_of_frames
from training.data.targets import FragmentTargets
from training.errors import DataError
from training.learn.summary import stage_of_fragment
from training.measure.evaluate import prepared_clips
from training.measure.reliability import all_shares

SPEC = DIVING.with_size((32, 32), (32, 32))
STARTS = [0, 30, 40, 90, 100]


def frame_by_frame(spec: ClipSpec, frames: int) -> NDArray[np.float64]:
    """The same shares, counted with plain loops over the fragments' frames."""
    names: list[int | None] = [
        max(s for s, start in enumerate(STARTS) if f >= start) for f in range(frames)
    ]
    names = names[-spec.frames :]
    blank: list[int | None] = [None] * (spec.frames - len(names))
    names = blank + names if spec.pad == "start" else names + blank
    shares = np.zeros((spec.fragments, 5))
    for k in range(spec.fragments):
        for frame in range(spec.start + 16 * k, spec.start + 16 * k + 16):
            if (stage := names[frame]) is not None:
                shares[k, stage] += 1 / 16
    return shares


@pytest.mark.parametrize("pad", ["start", "end"])
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("frames", [110, 151, 180])
def test_shares_count_every_frame_once(pad: Pad, start: int, frames: int) -> None:
    spec = dataclasses.replace(DIVING, pad=pad, start=start)
    clip = judged(Path("clip.mp4"), StageStarts(tuple(STARTS)))
    stages = stages_of_frames(spec, clip, at_spec_rate(frames))
    np.testing.assert_allclose(stage_shares(spec, stages), frame_by_frame(spec, frames))


def judged(path: Path, starts: StageStarts | None) -> JudgedClip:
    return JudgedClip(
        path=path,
        split="train",
        score=50.0,
        stage_starts=starts,
        deductions=dict.fromkeys(SPEC.stages, 1.0),
        columns={"true_score": "50"},
    )


# The last 151 of 260 frames begin with frame 109: take-off at 71, flight at 91, entry at 111,
# splash at 121 of the prepared clip.
DIVE = StageStarts((0, 180, 200, 220, 230))
STAGES = ["start"] * 4 + ["take-off", "take-off", "flight", "entry", "splash"]


@pytest.mark.parametrize(
    ("fps", "starts"),
    [
        (30, DIVE),
        (60, StageStarts((0, 360, 400, 440, 460))),
        (60, StageStarts((0, 6, 6.667, 7.333, 7.667), "seconds")),
    ],
)
def test_a_dive_that_is_longer_than_the_clip(tmp_path: Path, fps: int, starts: StageStarts) -> None:
    """260 frames at the spec's rate: for all that learn or measure its stages are the same."""
    path = tmp_path / "dive.mp4"
    path.write_bytes(lossless(numbered(260 * fps // 30), fps=fps))
    clip = judged(path, starts)
    cache = open_cache([path], SPEC, tmp_path / "cache", workers=1)
    times = [cache.times(0)]
    assert stage_of_fragment(SPEC, [clip], times) == STAGES

    expected = frame_by_frame_of(DIVE, 260)
    announced = Announced.of([clip], SPEC, "final")
    known = PartialScores.read(SPEC, [clip], times, np.array([0]), announced)
    assert known.stages[0].tolist() == expected
    targets = FragmentTargets.read(SPEC, [clip], times)
    for first in range(0, 136):
        shares = targets.at(0, targets.first_frame(0, first))[targets.groups["stages"]]
        here = expected[first : first + 16]
        np.testing.assert_allclose(shares, [here.count(s) / 16 for s in range(5)])
    [read] = prepared_clips([clip], SPEC)
    [shares] = all_shares(SPEC, [clip], [read.times])
    for k, each in enumerate(shares):
        here = expected[16 * k : 16 * k + 16]
        np.testing.assert_allclose(each, [here.count(s) / 16 for s in range(5)])


def frame_by_frame_of(starts: StageStarts, frames: int) -> list[int]:
    stages = [sum(f >= start for start in starts.moments) - 1 for f in range(frames)]
    return stages[-151:]


@pytest.mark.parametrize(
    ("pad", "stages"),
    [
        ("end", ["start", "take-off", "flight", "entry", "splash", None, None, None, None]),
        ("start", [None, None, None, None, "start", "take-off", "flight", "flight", "entry"]),
    ],
)
def test_a_short_dive_is_padded_as_the_spec_says(
    tmp_path: Path, pad: Pad, stages: list[str | None]
) -> None:
    """130 frames at 50 a second are 78 at the spec's rate, and the stages begin at 0 13 30 54 65.

    Padding at the start shifts them by 73.
    """
    spec = dataclasses.replace(SPEC, pad=pad)
    path = tmp_path / "dive.mp4"
    path.write_bytes(lossless(numbered(130), fps=50))
    clip = judged(path, StageStarts((0, 22, 50, 90, 108)))
    times = [open_cache([path], spec, tmp_path / "cache", workers=1).times(0)]
    assert stage_of_fragment(spec, [clip], times) == stages


def test_clips_without_stages_have_none() -> None:
    clip = judged(Path("clip.mp4"), None)
    assert stage_of_fragment(SPEC, [clip], [at_spec_rate(151)]) == [None] * 9
    other = judged(Path("clip.mp4"), StageStarts((0, 10, 20)))  # of five
    assert stage_of_fragment(SPEC, [other], [at_spec_rate(151)]) == [None] * 9


def test_a_stage_after_the_end_names_the_clip() -> None:
    with pytest.raises(DataError, match=r"clip\.mp4: stages begin at 0 180 .* has 151 frames"):
        stage_of_fragment(SPEC, [judged(Path("clip.mp4"), DIVE)], [at_spec_rate(151)])
