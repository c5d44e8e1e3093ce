"""
What judges gave for a kept clip, checked by the rules that `POST /panel` has.

The rule: a field that is given replaces the one that is known, and the others stay; marks and a
score that is given without marks replace one another. Marks give the score, by the rules of the
action that was scored when they were given. Of what was given for another action the group stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from model_store.archive import Judged, KeptAnswer
from model_store.errors import InvalidPanel
from model_store.judging.difficulty import check_difficulty
from model_store.judging.dive_difficulty import declared
from model_store.judging.panel import Panel, judge
from model_store.spec import SPECS
from service.errors import InvalidParameter

T = TypeVar("T")
SAME = 0.01  # points; results lists round to hundredths
BEYOND = 2.0  # ranges of scores above the nominal one: more is a typing error


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """By one request; None is what it does not have."""

    marks: Sequence[float] | None = None
    difficulty: float | None = None
    dive: str | None = None
    """Its number, with the height, instead of the difficulty."""
    height: float | None = None
    """Metres."""
    deductions: float | None = None
    """Neutral ones, points."""
    score: float | None = None
    """As announced, points."""
    group: str | None = None

    @classmethod
    def by(cls, panel: Panel) -> "Given":
        return cls(
            marks=[each.mark for each in panel.marks],
            difficulty=panel.difficulty,
            deductions=panel.deductions,
        )


def judged_with(given: Given, answer: KeptAnswer, known: Judged | None) -> Judged:
    """What is known once this is given. The difficulty may be that of the request to score.

    Raises InvalidPanel, InvalidDive, InvalidDifficulty, InvalidParameter; each names its field.
    """
    is_new = given.marks is not None or given.score is not None
    routine = answer if known is None or known.score is None or is_new else known
    action = routine.action
    before = known or Judged(action=action, judged_at=now())
    if before.action != action:
        before = Judged(action=action, group=before.group, judged_at=now())
    stated, _ = declared(action, given.difficulty, given.dive, given.height)
    of_answer = answer.difficulty if answer.action == action else None
    difficulty = _first(stated, before.difficulty, of_answer)
    if difficulty is not None:
        check_difficulty(action, difficulty)
    marks, score = given.marks, given.score
    if score is not None:
        _check_score(action, score)
    elif marks is None:
        marks, score = before.marks or None, before.score
    deductions = 0.0
    if marks is None:
        if given.deductions is not None:
            raise InvalidPanel("they are the panel's, which needs marks", field="deductions")
    else:
        deductions = _first(given.deductions, before.deductions) or 0.0
        total = judge(action, marks, difficulty, deductions).total
        if given.score is not None and abs(total - given.score) > SAME:
            differs = f"{given.score:g}, by the rules the marks give {total:g}"
            raise InvalidParameter(differs, field="score")
        score = total
    return Judged(
        action=action,
        score=score,
        difficulty=difficulty,
        marks=tuple(marks or ()),
        deductions=deductions,
        group=_first(given.group, before.group),
        start_s=routine.start_s,
        end_s=routine.end_s,
        judged_at=now(),
    )


def now() -> datetime:
    return datetime.now(UTC)


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _check_score(action: str, score: float) -> None:
    """Raises InvalidParameter for what cannot be a score on the scale of the action."""
    low, high = SPECS[action].score_range if action in SPECS else (0.0, float("inf"))
    if not 0 <= score <= high + BEYOND * (high - low):
        scale = f"; {action} is scored from {low:g} to {high:g}" if action in SPECS else ""
        raise InvalidParameter(f"{score:g} points, need at least 0{scale}", field="score")
