"""What a simulated clip tells when only some fragments are shown, worked out by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_store.network_spec import Target
from model_store.spec import DIVING, SPECS, ClipSpec
from tests.training.bright import at_spec_rate
from training.data.announced import Announced
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.stage_starts import StageStarts
from training.data.file_times import FileTimes
from training.data.partial_scores import PartialScores
from training.errors import DataError
from training.simulator.dataset import describe
from training.simulator.plan import draw_plan

SPEC = dataclasses.replace(DIVING, pad="start")
STAGES = ("start", "take-off", "flight", "entry", "splash")
STARTS = StageStarts((0, 32, 48, 96, 112))  # of 151 frames; fragments share their borders
ALL, NONE = np.ones(9, bool), np.zeros(9, bool)


def judged(deductions: list[float], true_score: float, **changes: object) -> JudgedClip:
    values = {
        "path": Path("00000.mp4"),
        "split": "train",
        "score": 50.0,
        "difficulty": 3.0,
        "execution": None,
        "stage_starts": STARTS,
        "deductions": dict(zip(STAGES, deductions, strict=True)),
        "columns": {"true_score": str(true_score)},
    }
    return JudgedClip(**values | changes)  # type: ignore[arg-type]


GOOD = judged([0, 0, 2, 0, 0], 88)  # perfect 90
POOR = judged([4, 0, 10, 6, 0], 80)  # perfect 100


def known_of(
    clips: list[JudgedClip], times: list[FileTimes], spec: ClipSpec = SPEC, target: Target = "final"
) -> PartialScores:
    """Of clips that are all learned from."""
    announced = Announced.of(clips, spec, target)
    return PartialScores.read(spec, clips, times, np.arange(len(clips)), announced)


KNOWN = known_of([GOOD, POOR], [at_spec_rate(151)] * 2)


def shown(*fragments: int) -> np.ndarray:
    chosen = NONE.copy()
    chosen[list(fragments)] = True
    return chosen


@pytest.mark.parametrize(
    ("fragments", "points"),
    [
        (range(9), 80),  # all: the true score
        ((), 84),  # nothing: the mean
        ((0,), 84 - 2),  # half of the start is enough to see its 4 points, 2 more than usual
        ((0, 1), 84 - 2),
        ((2,), 84),  # the take-off costs nobody anything
        ((6,), 84 - 3),  # the whole entry
        ((3, 4), 84 - 4 + 5),  # two thirds of the flight: its deduction, and the difficulty
        ((3,), 84 + 2 / 3 * (-4 + 5)),  # a third of it tells two thirds
    ],
)
def test_stages_that_are_seen_cost_what_they_cost_and_the_others_the_mean(
    fragments: range | tuple[int, ...], points: int
) -> None:
    assert KNOWN.at(1, 0, shown(*fragments)) == pytest.approx(points)


def test_of_an_execution_the_difficulty_is_no_part() -> None:
    """Scores are execution × difficulty; a fault costs its points over the difficulty."""
    hard = judged([4, 0, 10, 6, 0], 100, difficulty=4.0)  # perfect 120, 30 × 4; of GOOD 90, 30 × 3
    known = known_of([GOOD, hard], [at_spec_rate(151)] * 2, target="both")
    everything, nothing = known.at(1, 0, ALL), known.at(1, 0, NONE)
    np.testing.assert_allclose(everything, [100, 25], rtol=1e-6)
    np.testing.assert_allclose(nothing, [94, (88 / 3 + 25) / 2], rtol=1e-6)
    entry = known.at(1, 0, shown(6)) - nothing  # 6 points; in the mean of both clips 3
    np.testing.assert_allclose(entry, [-3, -3 / 4], rtol=1e-5)
    flight = known.at(1, 0, shown(3, 4, 5)) - nothing  # 10 points; GOOD's cost 2
    np.testing.assert_allclose(flight, [-4 + 15, -(10 / 4 - (2 / 3 + 10 / 4) / 2)], rtol=1e-5)


def test_the_start_of_the_fragments_moves_the_borders() -> None:
    assert KNOWN.at(1, 0, shown(7)) == pytest.approx(84)  # splash alone
    # From frame 5 on fragment 6 holds 11 frames of the entry and 5 of the splash.
    assert KNOWN.at(1, 5, shown(6)) == pytest.approx(84 - 3)
    assert KNOWN.at(1, 5, shown(5)) == pytest.approx(84 + 11 / 24 * 1 - 5 / 8 * 3)


def test_a_short_clip_is_padded_as_the_spec_says() -> None:
    short = judged([0, 0, 0, 0, 8], 82, stage_starts=StageStarts((0, 0, 0, 0, 50)))
    times = [at_spec_rate(151), at_spec_rate(100)]
    known = known_of([GOOD, short], times)
    assert known.stages[1, :51].tolist() == [-1] * 51
    assert known.at(1, 0, shown(0, 1, 2)) == pytest.approx(85)  # padding tells nothing
    assert known.at(1, 0, shown(8)) == pytest.approx(85 - 4 * 16 / 21.5)


def test_a_shapley_value_of_what_is_known_is_what_a_stage_cost() -> None:
    """Brute force over all orders of two fragments that hold one stage each."""
    entry, take_off = shown(6), shown(2)
    both = KNOWN.at(1, 0, entry | take_off)[0] - KNOWN.at(1, 0, take_off)[0]
    alone = KNOWN.at(1, 0, entry)[0] - KNOWN.at(1, 0, NONE)[0]
    assert (both + alone) / 2 == pytest.approx(-(6 - 3))


@pytest.mark.parametrize("action", ["diving", "vault"])
def test_of_real_simulated_clips_everything_shown_gives_the_true_score(action: str) -> None:
    spec = dataclasses.replace(SPECS[action], pad="start")
    plans = [draw_plan(action, 5, i) for i in range(40)]
    rows = [{name: str(value) for name, value in describe(plan).items()} for plan in plans]
    clips = [
        dataclasses.replace(
            GOOD,
            stage_starts=StageStarts(plan.stage_starts),
            deductions=plan.deductions,
            columns=row,
        )
        for plan, row in zip(plans, rows, strict=True)
    ]
    times = [at_spec_rate(plan.frames) for plan in plans]
    known = known_of(clips, times, spec)
    every = np.ones(spec.fragments, bool)
    found = [known.at(i, spec.slack, every)[0] for i in range(40)]
    np.testing.assert_allclose(found, [p.true_score for p in plans], atol=1e-3)


def test_clips_that_do_not_know_are_refused() -> None:
    for columns in ({}, {"true_score": ""}):
        with pytest.raises(DataError, match="need true_score"):
            known_of([dataclasses.replace(GOOD, columns=columns)], [at_spec_rate(151)])
    with pytest.raises(DataError, match="true_score is 'high', need a number"):
        known_of([dataclasses.replace(GOOD, columns={"true_score": "high"})], [at_spec_rate(151)])
    with pytest.raises(DataError, match="skating"):
        known_of([GOOD], [at_spec_rate(151)], SPECS["skating"])
