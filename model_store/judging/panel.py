"""
The judges' panel: the total by the rules, and which mark is out of line.

Diving: marks 0–10 in halves. The marks that count are added and multiplied by the difficulty.

    2 judges    both count; 1.5 × their sum, so that totals compare with those of three   (practice)
    3           all count                                                                 (practice)
    5           without the highest and the lowest                                        [WA]
    7           without the two highest and the two lowest                                [WA]
    9 and 11    synchronised diving; 0.6 × the sum of five                                [WA]

Synchronised panels are in the order of the score sheet: the judges of one diver, those of the
other, then five of the synchronisation. Of 11 (three, three and five) the highest and the lowest
mark of each group are cancelled. Of 9 (two, two and five) the four marks of execution are taken
together: their highest and their lowest are cancelled, and so are those of the synchronisation.
Every total is 3 × the mean of what counts × the difficulty.

A failed dive has the mark 0 from every judge. What the referee deducts from each mark (2 points for
a restart) is deducted before the marks come here, as it is on a score sheet.

Vault: marks 0–10 in tenths; the execution is the mean without the highest and the lowest of 4, 5 or
6, and without the two highest and the two lowest of 7. Total = D + E − neutral deductions.   [FIG]

[WA] World Aquatics, Competition Regulations, diving, edition in force from February 2026: DV 7.2
(panels of 5, 7, 9 and 11), DV 8.6 (the referee's deductions) and DV 9.1.5 (what is cancelled). In
the FINA rules of 2017 to 2021 these are D 5.2, D 6 and D 7. They were read in public summaries;
that the four marks of execution of 9 judges are cancelled together follows from five marks being
left. The rule for 7 was checked on 11,153 dives of official competitions of 2015 to 2021: all
totals agree to the cent.
[FIG] Code of Points, artistic gymnastics, 2025 to 2028.

Neither [WA] nor any rule book that was found has panels of 2 or 3; they are what clubs, schools and
masters do with the judges they have. The answer says so in `rule`.

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
from model_store.number import as_written
from model_store.spec import SPECS

BEST = 10.0
MAX_DEDUCTIONS = 10.0  # points


@dataclass(frozen=True, slots=True)
class Group:
    """Judges whose marks are counted together."""

    roles: tuple[tuple[str, int], ...]
    """What the judges look at, and how many look at it, in the order of the score sheet."""
    dropped: int
    """Marks of the group left out at each end."""


@dataclass(frozen=True, slots=True)
class PanelRule:
    """How a panel of one size is counted."""

    groups: tuple[Group, ...]
    text: str
    """What counts, and which rule book of which year says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the panels of an action mark, and what counts."""

    panels: dict[int, PanelRule]
    """By the number of judges."""
    step: float
    """Marks are multiples of it."""
    scale: float
    """Points of execution for one point of the panel's mark."""
    deductions: bool
    """Whether there are neutral deductions."""
    calibrated: bool
    """Whether it is known what real panels do."""


def _all_execution(judges: int, dropped: int) -> tuple[Group, ...]:
    return (Group((("execution", judges),), dropped),)


_DV = "World Aquatics Competition Regulations 2026, DV 9.1.5"
_FIG = "FIG Code of Points 2025–2028"
_DIVING = {
    2: PanelRule(
        _all_execution(2, 0),
        "Both marks count: 1.5 × their sum × the difficulty. This is practice, so that totals"
        " compare with those of three judges; we know no rule book that has a panel of two.",
    ),
    3: PanelRule(
        _all_execution(3, 0),
        "All three marks count: their sum × the difficulty. This is the practice of clubs, schools"
        " and masters; the World Aquatics Competition Regulations 2026 have no panel of three.",
    ),
    5: PanelRule(
        _all_execution(5, 1),
        f"{_DV}: the highest and the lowest mark are cancelled; the sum of the other three × the"
        " difficulty.",
    ),
    7: PanelRule(
        _all_execution(7, 2),
        f"{_DV}: the two highest and the two lowest marks are cancelled; the sum of the other three"
        " × the difficulty.",
    ),
    9: PanelRule(
        (
            Group((("first diver", 2), ("second diver", 2)), 1),
            Group((("synchronisation", 5),), 1),
        ),
        f"{_DV}, synchronised diving: the highest and the lowest of the four marks of execution and"
        " of the five of synchronisation are cancelled; 0.6 × the sum of the other five × the"
        " difficulty.",
    ),
    11: PanelRule(
        (
            Group((("first diver", 3),), 1),
            Group((("second diver", 3),), 1),
            Group((("synchronisation", 5),), 1),
        ),
        f"{_DV}, synchronised diving: the highest and the lowest mark of each diver's execution and"
        " of the synchronisation are cancelled; 0.6 × the sum of the other five × the difficulty.",
    ),
}
_ENDS = {1: "the highest and the lowest mark", 2: "the two highest and the two lowest marks"}
RULES = {
    "diving": Rules(panels=_DIVING, step=0.5, scale=3.0, deductions=False, calibrated=True),
    "vault": Rules(
        panels={
            judges: PanelRule(
                _all_execution(judges, dropped),
                f"{_FIG}: {_ENDS[dropped]} are left out; the mean of the others + the difficulty −"
                " neutral deductions.",
            )
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
    """From 1."""
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
    rule: str
    """What counts, and by which rule book of which year, in a sentence."""
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
    action: str,
    marks: Sequence[float],
    difficulty: float | None,
    deductions: float = 0.0,
    judges: Sequence[int] | None = None,
) -> Panel:
    """Count a panel by the rules of its action.   Raises InvalidPanel, which names the field.

    `judges` are the numbers of the judges who gave the marks; if left out, 1, 2, 3 …
    """
    rules = rules_of(action)
    if difficulty is None:
        need = "missing, the total of a panel needs it"
        if action == "diving":
            need += ", or else the number of the dive (dive) and its height"
        raise InvalidPanel(need, field="difficulty")
    check_difficulty(action, difficulty)
    judges = judges or range(1, len(marks) + 1)
    _check_marks(marks, rules, judges)
    if deductions and not rules.deductions:
        raise InvalidPanel(f"{action} has none", field="deductions")
    if not 0 <= deductions <= MAX_DEDUCTIONS:
        need = f"need 0 to {MAX_DEDUCTIONS:g}"
        raise InvalidPanel(f"{as_written(deductions)}, {need}", field="deductions")

    rule = rules.panels[len(marks)]
    judged: list[JudgedMark] = []
    for group in rule.groups:
        first = len(judged)
        judged += _in_group(group, marks[first:], judges[first:], calibrated=rules.calibrated)
    mark = fmean(each.mark for each in judged if each.counts)
    execution = round(rules.scale * mark, 3)
    factor, term = factor_and_term(difficulty, SPECS[action].difficulty_rule)
    total = round(factor * execution + term - deductions, 3)
    if total < 0:
        need = (
            f"need at most what there is to deduct from, {as_written(round(total + deductions, 3))}"
        )
        raise InvalidPanel(f"{as_written(deductions)}, {need}", field="deductions")
    return Panel(
        action=action,
        rule=rule.text,
        marks=tuple(judged),
        difficulty=difficulty,
        deductions=deductions,
        execution=execution,
        mark=mark,
        total=total,
    )


def rules_of(action: str) -> Rules:
    """Raises InvalidPanel."""
    if (rules := RULES.get(action)) is None:
        raise InvalidPanel(f"there are no rules for a panel of {action}", field="marks")
    return rules


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


def _check_marks(marks: Sequence[float], rules: Rules, judges: Sequence[int]) -> None:
    if len(marks) not in rules.panels:
        *few, most = map(str, rules.panels)
        need = f"{', '.join(few)} or {most}"
        given = "1 mark" if len(marks) == 1 else f"{len(marks)} marks"
        raise InvalidPanel(f"{given}, need {need}", field="marks")
    for number, mark in zip(judges, marks, strict=True):
        if not (0 <= mark <= BEST and is_multiple(mark, rules.step)):
            need = f"need 0 to {BEST:g} in steps of {rules.step:g}"
            raise InvalidPanel(f"judge {number} gives {as_written(mark)}, {need}", field="marks")


def _in_group(
    group: Group, marks: Sequence[float], judges: Sequence[int], *, calibrated: bool
) -> list[JudgedMark]:
    """The judges of the group that comes first among these."""
    given = marks[: sum(count for _, count in group.roles)]
    order = sorted(range(len(given)), key=lambda i: given[i])
    counted = order[group.dropped : len(given) - group.dropped]
    judged: list[JudgedMark] = []
    for role, count in group.roles:
        same = given[len(judged) :][:count]
        for mark, (distance, level) in zip(same, distances(same), strict=True):
            share = share_at_least(distance, level, count) if calibrated else None
            judged.append(
                JudgedMark(
                    judge=judges[len(judged)],
                    role=role,
                    mark=mark,
                    counts=len(judged) in counted,
                    from_panel=round(distance, 6),
                    real_share=share,
                    out_of_line=None if share is None else share < OUT_OF_LINE,
                )
            )
    return judged
