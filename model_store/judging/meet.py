"""
The judges over a whole meet: how each leans, scatters, and orders the dives.

A judge is a seat: the first mark of every dive is the first judge's, and so on. The deviation of a
mark is that from the median of the others with the same role on that dive.

    bias        mean deviation, marks: above 0 the judge is more generous than the others
    spread      standard deviation of the deviations, marks: how consistently it does so
    agreement   Spearman's rank correlation of the judge's marks with those medians, −1…1

All intervals hold the judge's own value with a probability of 0.9:

* of the bias by Student's t over divers, since a judge who likes a diver does so in all of that
  diver's dives (with the cluster-robust standard error CR1; a dive without a diver's name is a
  cluster of its own). In real panels the deviations of a judge for two dives of one diver have a
  covariance three times that for two divers;
* of the spread in the same way, for its logarithm: from the squared deviations;
* of the share of marks out of line by Wilson's score interval.

Failed dives, with the mark 0 from everybody, say nothing about judges and are left out. Of two
judges one bias is minus the other: nothing tells which of them leans.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, mode
from typing import Any

import numpy as np

from model_store.errors import InvalidField, InvalidMeet, InvalidPanel
from model_store.judging.dive_difficulty import DeclaredDive, declared
from model_store.judging.panel import JudgedMark, Panel, judge, rules_of
from model_store.judging.panel_statistics import real_judges

COVERAGE = 0.9
FEWEST = 3  # dives, and divers, for an interval
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf((1 + COVERAGE) / 2)

Array = np.ndarray[Any, np.dtype[np.float64]]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetDive:
    """A dive as it is on the score sheet."""

    diver: str | None = None
    dive: str | None = None
    """Its number, with the height, instead of the difficulty."""
    height: float | None = None
    """Metres."""
    difficulty: float | None = None
    marks: tuple[float | None, ...]
    """By judge; None where one did not judge this dive."""
    deductions: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDive:
    diver: str | None
    dive: DeclaredDive | None
    panel: Panel
    judges: tuple[int, ...]
    """Who gave the panel's marks, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetJudge:
    """What a judge's marks show, over all dives of the meet; marks if not stated otherwise."""

    judge: int
    """From 1, in the order given."""
    dives: int
    """That count here: failed dives do not."""
    bias: float | None
    bias_interval: Range | None
    bias_real_share: float | None
    """Of real judges, those whose bias would look at least as large over as many dives, 0…1."""
    spread: float | None
    spread_interval: Range | None
    spread_of_real: Range | None
    """Nine of ten real judges have a spread between these."""
    agreement: float | None
    out_of_line: int | None
    """Marks that are; None where it is not known what real panels do."""
    out_of_line_share: float | None
    out_of_line_interval: Range | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meet:
    action: str
    dives: tuple[CountedDive, ...]
    judges: tuple[MeetJudge, ...]


def judge_meet(action: str, dives: Sequence[MeetDive]) -> Meet:
    """Count every dive, and describe every judge.

    Raises InvalidMeet, which names each dive and field that is wrong, and InvalidPanel.
    """
    rules_of(action)
    if not dives:
        raise InvalidPanel("none, need at least one", field="dives")
    counted, problems = [], []
    for index, each in enumerate(dives):
        try:
            counted.append(_count(action, each))
        except InvalidField as error:
            problems.append((index, error.field, str(error)))
    if problems:
        raise InvalidMeet(problems)
    marks: dict[int, list[tuple[CountedDive, JudgedMark]]] = {}
    for dive in counted:
        for number, mark in zip(dive.judges, dive.panel.marks, strict=True):
            marks.setdefault(number, []).append((dive, mark))
    judges = tuple(_judge(number, marks[number]) for number in sorted(marks))
    return Meet(action=action, dives=tuple(counted), judges=judges)


def _count(action: str, dive: MeetDive) -> CountedDive:
    """Raises InvalidField."""
    difficulty, named = declared(action, dive.difficulty, dive.dive, dive.height)
    judges = tuple(number for number, mark in enumerate(dive.marks, 1) if mark is not None)
    marks = [mark for mark in dive.marks if mark is not None]
    panel = judge(action, marks, difficulty, dive.deductions, judges)
    return CountedDive(diver=dive.diver or None, dive=named, panel=panel, judges=judges)


def _judge(number: int, marks: Iterable[tuple[CountedDive, JudgedMark]]) -> MeetJudge:
    seen = [(dive, mark) for dive, mark in marks if any(m.mark for m in dive.panel.marks)]
    given = np.array([mark.mark for _, mark in seen])
    found = np.array([mark.from_panel for _, mark in seen])
    if not seen:
        return _nothing_of(number)
    known = [mark.out_of_line for _, mark in seen if mark.out_of_line is not None]
    out = sum(known) if known else None
    bias = float(found.mean())
    divers = [dive.diver for dive, _ in seen]
    half = _half_of_mean(found, divers)
    spread, spread_interval = _spread(found, divers)
    real = None
    if known:
        real = real_judges(mode(_of_same_role(dive, mark) for dive, mark in seen))
    share = None
    if real is not None:
        chance = real.scatter / math.sqrt(len(found))  # of a real judge, over as many dives
        share = 2 * _NORMAL.cdf(-abs(bias) / math.hypot(real.leaning, chance))
    return MeetJudge(
        judge=number,
        dives=len(seen),
        bias=bias,
        bias_interval=None if half is None else (bias - half, bias + half),
        bias_real_share=share,
        spread=spread,
        spread_interval=spread_interval,
        spread_of_real=None if real is None else (real.spread[0], real.spread[2]),
        agreement=rank_correlation(given, given - found),
        out_of_line=out,
        out_of_line_share=None if out is None else out / len(known),
        out_of_line_interval=None if out is None else wilson(out, len(known)),
    )


def _nothing_of(number: int) -> MeetJudge:
    nothing: Mapping[str, Any] = dict.fromkeys(MeetJudge.__dataclass_fields__)
    return MeetJudge(**{**nothing, "judge": number, "dives": 0})


def _of_same_role(dive: CountedDive, mark: JudgedMark) -> int:
    return sum(other.role == mark.role for other in dive.panel.marks)


def _half_of_mean(found: Array, divers: Sequence[str | None]) -> float | None:
    """Half of the interval of a mean, over divers; None if they are too few."""
    clusters: dict[object, float] = {}
    for index, (residual, diver) in enumerate(zip(found - found.mean(), divers, strict=True)):
        cluster = index if diver is None else diver
        clusters[cluster] = clusters.get(cluster, 0.0) + float(residual)
    if (count := len(clusters)) < FEWEST:
        return None
    squares = sum(each * each for each in clusters.values())
    return student(count - 1) * math.sqrt(squares * count / (count - 1)) / len(found)


def _spread(found: Array, divers: Sequence[str | None]) -> tuple[float | None, Range | None]:
    if len(found) < FEWEST:
        return None, None
    spread = float(found.std(ddof=1))
    half = _half_of_mean((found - found.mean()) ** 2, divers)
    if half is None or spread == 0:
        return spread, None
    ratio = math.exp(half / (2 * float(found.var())))  # d log √v = dv / 2v
    return spread, (spread / ratio, spread * ratio)


def student(degrees: int) -> float:
    """The quantile of Student's t for two-sided `COVERAGE`, for 2 degrees of freedom and more.

    Abramowitz and Stegun, 26.7.5; within 0.3 % of the exact one.
    """
    z = _Z
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))


def wilson(count: int, total: int) -> Range:
    """Wilson's score interval of a share."""
    share, square = count / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    half *= _Z / (1 + square / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def rank_correlation(first: Array, second: Array) -> float | None:
    """Spearman's, with ties at their mean rank; None for fewer than three or for a constant."""
    if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    ranks: Array = mean_rank[place]
    return ranks
