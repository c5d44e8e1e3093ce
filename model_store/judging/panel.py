"""
The judges' panel: the official total by the rules, and which mark is out of line.

Diving: marks 0–10 in halves. Of 5 judges the highest and the lowest mark are dropped, of 7 the two
highest and the two lowest; the middle three are added and multiplied by the difficulty. Of 11
judges (synchronised diving, in the order of the score sheet: three for one diver, three for the
other, five for the synchronisation) the highest and the lowest of each group are dropped, and 0.6
times the sum of the five that are left counts. All three are 3 × the mean of what counts.

Vault: marks 0–10 in tenths; the execution is the mean without the highest and the lowest of 4, 5 or
6, and without the two highest and the two lowest of 7. Total = D + E − neutral deductions.

The rule: a mark is called out of line only by what real panels of that size and level did
(`panel_statistics`). Nobody has published marks of vault panels, so no mark of theirs is called so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from model_store.errors import InvalidPanel
from model_store.judging.difficulty import (
    check_difficulty,
    execution_of,
    factor_and_term,
    is_multiple,
)
from model_store.judging.interval import Interval
from model_store.judging.panel_statistics import OUT_OF_LINE, distances, share_at_least
from model_store.spec import SPECS

BEST = 10.0
MAX_DEDUCTIONS = 10.0  # points


@dataclass(frozen=True, slots=True)
class Group:
    """Judges who mark the same thing."""

    role: str
    judges: int
    dropped: int
    """Marks left out at each end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the panel of an action marks, and what counts."""

    panels: dict[int, tuple[Group, ...]]
    """By the number of judges."""
    step: float
    """Marks are multiples of it."""
    scale: float
    """Points of execution for one point of the panel's mark."""
    deductions: bool
    """Whether there are neutral deductions."""
    calibrated: bool
    """Whether it is known what real panels do."""


_SYNCHRONISED = (
    Group("first diver", 3, 1),
    Group("second diver", 3, 1),
    Group("synchronisation", 5, 1),
)
RULES = {
    "diving": Rules(
        panels={
            5: (Group("execution", 5, 1),),
            7: (Group("execution", 7, 2),),
            11: _SYNCHRONISED,
        },
        step=0.5,
        scale=3.0,
        deductions=False,
        calibrated=True,
    ),
    "vault": Rules(
        panels={
            judges: (Group("execution", judges, dropped),)
            for judges, dropped in ((4, 1), (5, 1), (6, 1), (7, 2))
        },
        step=0.1,
        scale=1.0,
        deductions=True,
        calibrated=False,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMark:
    judge: int
    """From 1, in the order given."""
    role: str
    """What the judge looks at: `execution`, or one of the three of synchronised diving."""
    mark: float
    counts: bool
    """Whether it is part of the total."""
    from_panel: float
    """Mark − median of the others with the same role."""
    real_share: float | None
    """Of real marks, those as far from the others as this one; None where it is not known."""
    out_of_line: bool | None
    """Fewer than one real mark in a hundred lies so far out; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel's marks, checked and counted."""

    action: str
    marks: tuple[JudgedMark, ...]
    difficulty: float
    deductions: float
    execution: float
    """As the difficulty is multiplied by it (diving) or added to it (vault)."""
    mark: float
    """Mean of the marks that count: the panel's mark."""
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMark:
    """A predicted score on the scale of the judges' marks."""

    mark: float
    low: float | None
    high: float | None
    """Interval of the mark; None where the model is not calibrated."""


def judge(
    action: str, marks: Sequence[float], difficulty: float | None, deductions: float = 0.0
) -> Panel:
    """Count a panel by the rules of its action.   Raises InvalidPanel, which names the field."""
    if (rules := RULES.get(action)) is None:
        raise InvalidPanel(f"there are no rules for a panel of {action}", field="marks")
    if difficulty is None:
        raise InvalidPanel("missing, the total of a panel needs it", field="difficulty")
    check_difficulty(action, difficulty)
    _check_marks(marks, rules)
    if deductions and not rules.deductions:
        raise InvalidPanel(f"{action} has none", field="deductions")
    if not 0 <= deductions <= MAX_DEDUCTIONS:
        raise InvalidPanel(f"{deductions:g}, need 0 to {MAX_DEDUCTIONS:g}", field="deductions")

    judged: list[JudgedMark] = []
    for group in rules.panels[len(marks)]:
        judged += _in_group(group, marks[len(judged) :][: group.judges], rules, first=len(judged))
    mark = fmean(each.mark for each in judged if each.counts)
    execution = round(rules.scale * mark, 3)
    factor, term = factor_and_term(difficulty, SPECS[action].difficulty_rule)
    return Panel(
        action=action,
        marks=tuple(judged),
        difficulty=difficulty,
        deductions=deductions,
        execution=execution,
        mark=mark,
        total=round(factor * execution + term - deductions, 3),
    )


def model_mark(panel: Panel, score: float, interval: Interval | None) -> ModelMark:
    """A predicted total as the mark that every judge would have given for it."""
    scale, rule = RULES[panel.action].scale, SPECS[panel.action].difficulty_rule

    def mark(total: float) -> float:
        return (execution_of(total, panel.difficulty, rule) + panel.deductions) / scale

    return ModelMark(
        mark=mark(score),
        low=mark(interval.low) if interval else None,
        high=mark(interval.high) if interval else None,
    )


def _check_marks(marks: Sequence[float], rules: Rules) -> None:
    if len(marks) not in rules.panels:
        *few, most = map(str, rules.panels)
        need = f"{', '.join(few)} or {most}"
        raise InvalidPanel(f"{len(marks)} marks, need {need}", field="marks")
    for number, mark in enumerate(marks, 1):
        if not (0 <= mark <= BEST and is_multiple(mark, rules.step)):
            need = f"need 0 to {BEST:g} in steps of {rules.step:g}"
            raise InvalidPanel(f"judge {number} gives {mark:g}, {need}", field="marks")


def _in_group(
    group: Group, marks: Sequence[float], rules: Rules, *, first: int
) -> list[JudgedMark]:
    order = sorted(range(len(marks)), key=lambda i: marks[i])
    counted = order[group.dropped : len(marks) - group.dropped]
    judged = []
    for i, (distance, level) in enumerate(distances(marks)):
        share = share_at_least(distance, level, group.judges) if rules.calibrated else None
        judged.append(
            JudgedMark(
                judge=first + i + 1,
                role=group.role,
                mark=marks[i],
                counts=i in counted,
                from_panel=round(distance, 6),
                real_share=share,
                out_of_line=None if share is None else share < OUT_OF_LINE,
            )
        )
    return judged
