"""The judges of a meet, against figures computed apart and against judges whose bias is known."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from model_store.errors import InvalidMeet, InvalidPanel
from model_store.judging.meet import (
    MeetDive,
    judge_meet,
    rank_correlation,
    student,
    wilson,
)
from model_store.judging.panel_statistics import real_judges

Array = np.ndarray[Any, np.dtype[np.float64]]


def drawn_meet(
    rng: np.random.Generator,
    *,
    divers: int = 12,
    each: int = 5,
    biases: tuple[float, ...] = (0.0,) * 5,
    likes: float = 0.0,
    noise: float = 0.4,
) -> list[MeetDive]:
    """Marks in halves of judges who lean, like some divers more than others, and scatter."""
    found = []
    for diver in range(divers):
        liking = rng.normal(0, likes, len(biases))
        for _ in range(each):
            given = rng.uniform(5, 8.5) + np.array(biases) + liking
            marks = np.clip(np.round(2 * (given + rng.normal(0, noise, len(biases)))) / 2, 0, 10)
            found.append(
                MeetDive(diver=f"diver {diver}", difficulty=2.5, marks=tuple(map(float, marks)))
            )
    return found


def deviations(dives: list[MeetDive]) -> Array:
    marks = np.array([dive.marks for dive in dives], dtype=float)
    others = [np.median(np.delete(marks, i, axis=1), axis=1) for i in range(marks.shape[1])]
    found: Array = marks - np.stack(others, axis=1)
    return found


def test_figures_computed_apart() -> None:
    dives = drawn_meet(np.random.default_rng(0), likes=0.2)
    meet = judge_meet("diving", dives)
    found = deviations(dives)
    marks = np.array([dive.marks for dive in dives], dtype=float)
    for judge, column, given in zip(meet.judges, found.T, marks.T, strict=True):
        assert judge.dives == 60
        assert judge.bias == pytest.approx(column.mean())
        assert judge.spread == pytest.approx(column.std(ddof=1))
        assert judge.agreement == pytest.approx(stats.spearmanr(given, given - column).statistic)
        sums = (column - column.mean()).reshape(12, 5).sum(axis=1)  # of each diver
        error = math.sqrt(12 / 11 * (sums**2).sum()) / 60
        low, high = stats.t.interval(0.9, 11, column.mean(), error)
        assert judge.bias_interval == pytest.approx((low, high), abs=1e-3)
        assert judge.out_of_line == sum(
            dive.panel.marks[judge.judge - 1].out_of_line or False for dive in meet.dives
        )
        assert judge.out_of_line_share == judge.out_of_line / 60
        real = real_judges(5)
        deviation = math.hypot(real.leaning, real.scatter / math.sqrt(60))
        share = 2 * stats.norm.sf(abs(column.mean()), scale=deviation)
        assert judge.bias_real_share == pytest.approx(share)


def test_without_divers_every_dive_is_apart() -> None:
    dives = [
        MeetDive(difficulty=2.5, marks=dive.marks) for dive in drawn_meet(np.random.default_rng(1))
    ]
    column = deviations(dives)[:, 0]
    expected = stats.t.interval(0.9, 59, column.mean(), column.std(ddof=1) / math.sqrt(60))
    assert judge_meet("diving", dives).judges[0].bias_interval == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("likes", [0.0, 0.3])
def test_intervals_hold_what_they_promise(likes: float) -> None:
    """Nine of ten, also where a judge's opinion of a diver lasts for all of the diver's dives."""
    rng = np.random.default_rng(2)
    biases = (0.5, 0.0, 0.0, -0.25, 0.0)
    meets = [drawn_meet(rng, biases=biases, likes=likes) for _ in range(300)]
    every = deviations([dive for meet in meets for dive in meet])
    bias, spread = every.mean(axis=0), every.std(axis=0)
    assert bias[0] == pytest.approx(0.5, abs=0.06)  # the others' median leans a little too
    held_bias, held_spread = [], []
    for meet in meets:
        for judge in judge_meet("diving", meet).judges:
            assert judge.bias_interval
            assert judge.spread_interval
            low, high = judge.bias_interval
            held_bias.append(low <= bias[judge.judge - 1] <= high)
            low, high = judge.spread_interval
            held_spread.append(low <= spread[judge.judge - 1] <= high)
    assert np.mean(held_bias) == pytest.approx(0.9, abs=0.03)
    assert np.mean(held_spread) == pytest.approx(0.9, abs=0.04)


def test_a_judge_who_leans_stands_out_among_real_ones() -> None:
    meet = judge_meet("diving", drawn_meet(np.random.default_rng(3), biases=(0.5, 0, 0, 0, 0)))
    shares = [judge.bias_real_share for judge in meet.judges]
    assert shares[0] is not None
    assert shares[0] < 1e-4
    assert all(share is not None and share > 0.01 for share in shares[1:])


def test_dives_are_counted_by_their_number() -> None:
    dive = MeetDive(diver="A", dive="107b", height=3.0, marks=(8.5, 8, 8, 8.5, 9, 8, 8))
    [counted] = judge_meet("diving", [dive]).dives
    assert counted.dive is not None
    assert counted.dive.number == "107B"
    assert counted.panel.total == round(24.5 * 3.1, 3)


def test_a_judge_may_leave_out_a_dive() -> None:
    dives = [
        MeetDive(difficulty=2.0, marks=(8, 8, 8.5, None, None)),
        MeetDive(difficulty=2.0, marks=(7, 7.5, 7, 7, 7.5)),
        MeetDive(difficulty=2.0, marks=(None, 6, 6, 6.5, None)),
    ]
    meet = judge_meet("diving", dives)
    assert [judge.dives for judge in meet.judges] == [2, 3, 3, 2, 1]
    assert [dive.judges for dive in meet.dives] == [(1, 2, 3), (1, 2, 3, 4, 5), (2, 3, 4)]
    assert [mark.judge for mark in meet.dives[2].panel.marks] == [2, 3, 4]
    assert meet.judges[1].bias == pytest.approx((-0.25 + 0.5 - 0.25) / 3)


def test_failed_dives_say_nothing_about_judges() -> None:
    dives = [MeetDive(difficulty=2.0, marks=(0, 0, 0)) for _ in range(4)]
    meet = judge_meet("diving", dives)
    assert [dive.panel.total for dive in meet.dives] == [0] * 4
    assert all(judge.dives == 0 and judge.bias is None for judge in meet.judges)


def test_few_dives_have_no_intervals() -> None:
    dives = [MeetDive(difficulty=2.0, marks=(8, 8, 8.5)), MeetDive(difficulty=2, marks=(7, 7, 7))]
    for judge in judge_meet("diving", dives).judges:
        assert judge.bias is not None
        assert [judge.bias_interval, judge.spread, judge.agreement] == [None] * 3
    two_divers = drawn_meet(np.random.default_rng(4), divers=2)
    assert judge_meet("diving", two_divers).judges[0].bias_interval is None


def test_two_judges_are_each_others_mirror() -> None:
    meet = judge_meet("diving", drawn_meet(np.random.default_rng(5), biases=(0.25, 0.0)))
    first, second = meet.judges
    assert first.bias is not None
    assert first.bias == pytest.approx(-(second.bias or 0))
    assert first.bias_real_share == second.bias_real_share


def test_synchronised_judges_are_compared_with_their_own_role() -> None:
    marks = (7, 7, 9, 9, 8, 8, 8, 8, 8.5)  # one diver is better than the other
    meet = judge_meet("diving", [MeetDive(difficulty=3.0, marks=marks)] * 4)
    assert [judge.bias for judge in meet.judges] == [0, 0, 0, 0, 0, 0, 0, 0, 0.5]


def test_vault_has_a_bias_and_nothing_to_compare_it_with() -> None:
    dives = [MeetDive(difficulty=5.0, marks=(9.1, 9.0, 9.0, 9.0), deductions=0.1)] * 4
    first = judge_meet("vault", dives).judges[0]
    assert first.bias == pytest.approx(0.1)
    assert [first.bias_real_share, first.spread_of_real, first.out_of_line] == [None] * 3


def test_all_that_is_wrong_is_named() -> None:
    good = MeetDive(difficulty=3.0, marks=(8, 8, 8))
    wrong = [
        MeetDive(difficulty=3.0, marks=(8, 8, 8, 8)),
        MeetDive(dive="101E", height=3.0, marks=(8, 8, 8)),
        MeetDive(dive="107B", marks=(8, 8, 8)),
        MeetDive(marks=(8, 8, 8)),
        MeetDive(difficulty=3.0, marks=(8, float("nan"), 8)),
        MeetDive(difficulty=3.0, marks=(8, 8, 8), deductions=1.0),
        MeetDive(difficulty=3.0, marks=(None,) * 5),
    ]
    with pytest.raises(InvalidMeet) as caught:
        judge_meet("diving", [good, *wrong])
    assert [(index, field) for index, field, _ in caught.value.problems] == [
        (1, "marks"),
        (2, "dive"),
        (3, "height"),
        (4, "difficulty"),
        (5, "marks"),
        (6, "deductions"),
        (7, "marks"),
    ]
    for action, dives, field in (("skating", [good], "marks"), ("diving", [], "dives")):
        with pytest.raises(InvalidPanel) as refused:
            judge_meet(action, dives)
        assert refused.value.field == field


@pytest.mark.parametrize("degrees", [2, 3, 5, 10, 30, 200])
def test_students_quantile(degrees: int) -> None:
    assert student(degrees) == pytest.approx(stats.t.ppf(0.95, degrees), rel=0.003)


@pytest.mark.parametrize(("count", "total"), [(0, 5), (1, 60), (30, 60), (60, 60)])
def test_wilsons_interval(count: int, total: int) -> None:
    expected = stats.binomtest(count, total).proportion_ci(0.9, method="wilson")
    assert wilson(count, total) == pytest.approx((expected.low, expected.high))


def test_rank_correlation_of_ties_and_constants() -> None:
    first, second = np.array([8, 8, 7, 6.5, 8.5, 6.5]), np.array([8, 7.5, 7, 7, 9, 6])
    expected = stats.spearmanr(first, second).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, np.full(6, 8.0)) is None
    assert rank_correlation(first[:2], second[:2]) is None
