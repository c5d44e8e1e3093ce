"""
What a benchmark found: rows of the table, their verdicts, and what the command exits with.

The rule: a row is passed, missed, or says why it was not measured. What was not measured is
never passed.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from tests.bench.measure import Ratio, Timings

PASSED, MISSED, UNMEASURED = 0, 1, 3  # exit codes; 2 is for a wrong command line


class Verdict(StrEnum):
    PASS = "pass"
    MISS = "miss"
    ABSENT = "absent"  # the peer is not there
    SHOWN = "–"  # there is no target


@dataclass(frozen=True, slots=True)
class Target:
    """How a ratio, ours over theirs, must be."""

    kind: Literal["≤", "≥"]
    bound: float

    def holds(self, ratio: float) -> bool:
        return ratio <= self.bound if self.kind == "≤" else ratio >= self.bound

    def __str__(self) -> str:
        return f"{self.kind} {self.bound:g}"


def at_most(bound: float) -> Target:
    return Target("≤", bound)


def at_least(bound: float) -> Target:
    return Target("≥", bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison."""

    stage: str
    case: str
    peer: str
    unit: str
    """Of `ours` and `theirs`: ms, clips/s, GFLOP/s."""
    ours: float | None = None
    theirs: float | None = None
    ratio: Ratio | None = None
    target: Target | None = None
    absent: str | None = None
    """Why the peer was not measured."""
    optional: bool = False
    """Whether the target asks for the peer only where it can be had."""

    @property
    def verdict(self) -> Verdict:
        if self.ratio is None:
            return Verdict.ABSENT
        if self.target is None:
            return Verdict.SHOWN
        return Verdict.PASS if self.target.holds(self.ratio.value) else Verdict.MISS

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {
            "target": None if self.target is None else str(self.target),
            "verdict": str(self.verdict),
        }


def timed(
    stage: str,
    case: str,
    peer: str,
    ours: Timings,
    theirs: Timings,
    target: Target | None,
    **others: Any,
) -> Row:
    """A row of two times, in ms."""
    return Row(
        stage=stage,
        case=case,
        peer=peer,
        unit="ms",
        ours=1e3 * ours.median,
        theirs=1e3 * theirs.median,
        ratio=Ratio.of(ours, theirs),
        target=target,
        **others,
    )


def why_absent(error: Exception) -> str:
    """The last line of what an error began with, without the paths of this machine."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return re.sub(r"(?<![\w.:/])/[^\s:,'\"]+", "…", f"{type(error).__name__}: {lines[-1]}")[:200]


@dataclass(slots=True)
class Results:
    """Of one run of the command."""

    rows: list[Row] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)
    """By name, with which configuration it ran."""
    broken: list[str] = field(default_factory=list)
    """Stages that ended with an error, or were stopped."""

    @property
    def exit_code(self) -> int:
        verdicts = [(row.verdict, row.optional) for row in self.rows]
        if self.broken or any(verdict is Verdict.MISS for verdict, _ in verdicts):
            return MISSED
        if any(verdict is Verdict.ABSENT and not optional for verdict, optional in verdicts):
            return UNMEASURED
        return PASSED
