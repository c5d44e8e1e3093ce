"""
Everything about a simulated dive or vault that is known before a pixel is drawn.

A plan is drawn in well under a millisecond, so distributions are checked without rendering.
deductions are points of the final score, noise-free: perfect_score − their sum = true_score;
the judges' score scatters around true_score.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.judging.difficulty import factor_and_term
from model_store.judging.panel import RULES, judge
from model_store.spec import SPECS
from training.simulator.faults import FAULTS, Fault, draw_severities, overridden, possible
from training.simulator.judges import diving_marks, vault_marks
from training.simulator.looks import Style
from training.simulator.performance import Performance
from training.simulator.routines import Routine, draw_routine, routines
from training.simulator.seeds import stream

PERFECT = {"diving": 9.45, "vault": 9.61}  # mark, or E, of a routine without a fault
MARKS = {"diving": diving_marks, "vault": vault_marks}
WORST = {"diving": 0.5, "vault": 6.5}  # grave faults together never cost more than leaves this

_LENGTHS = {  # first and last possible length of each stage, in frames
    "diving": ((22, 40), (13, 17), (37, 47), (14, 17), (24, 36)),
    "vault": ((16, 25), (9, 12), (8, 11), (24, 30), (20, 27)),
}
_CLIP = {"diving": (100, 151), "vault": (75, 100)}
# Dives in broadcasts: 25 frames a second written as 30, from 10 m.
_BROADCAST_LENGTHS = ((10, 36), (10, 17), (25, 45), (10, 15), (24, 42))
_BROADCAST_CLIP = (90, 151)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Performance):
    """Of a dive or a vault: one routine, whose parts are the stages of the spec."""

    style: Style = "plain"
    routine: Routine
    stage_starts: tuple[int, ...]

    @property
    def difficulty(self) -> float:
        return self.routine.difficulty

    @property
    def title(self) -> str:
        return self.routine.code

    @property
    def parts(self) -> dict[str, range]:
        bounds = itertools.pairwise((*self.stage_starts, self.frames))
        return {
            stage: range(*bound)
            for stage, bound in zip(SPECS[self.action].stages, bounds, strict=True)
        }

    @property
    def faults(self) -> tuple[Fault, ...]:
        return possible(self.action, self.routine.position)

    def stage_range(self, stage: str) -> range:
        """Frames of a stage."""
        return self.parts[stage]

    def moments(self, count: int) -> list[int]:
        """As many of every stage, so that each is to be seen."""
        each = count // len(self.parts)
        return [
            int(t)
            for part in self.parts.values()
            for t in np.linspace(part.start, part.stop, each + 2)[1:-1]
        ]

    def columns(self) -> dict[str, Any]:
        routine = self.routine
        return {
            "routine": routine.code,
            "family": routine.group,
            "position": routine.position,
            "somersaults": routine.somersaults,
            "twists": routine.twists,
            "frames": self.frames,
            "stage_starts": " ".join(map(str, self.stage_starts)),
            "true_score": f"{self.true_score:.4f}",
            **{f"deduction_{stage}": f"{d:.4f}" for stage, d in self.deductions.items()},
            **{f"fault_{kind}": f"{s:.4f}" for kind, s in self.severities.items()},
        }


def draw_plan(
    action: str,
    seed: int,
    index: int,
    *,
    faults: Mapping[str, float] | None = None,
    code: str | None = None,
    style: Style = "plain",
) -> Plan:
    """Clip `index` of `seed`; `faults` replaces severities by kind, `code` the routine."""
    if action not in FAULTS:
        raise ValueError(f"action is {action!r}, there are {sorted(FAULTS)}")
    drawn = draw_routine(action, stream(seed, index, "routine"))
    routine = routines(action)[code] if code is not None else drawn
    severities = draw_severities(
        FAULTS[action], stream(seed, index, "faults"), position=routine.position
    )
    severities = overridden(FAULTS[action], severities, faults or {})

    costs = {f.kind: f.weight * severities[f.kind] for f in FAULTS[action]}
    spared = PERFECT[action] - WORST[action]
    excess = max(sum(costs.values()) / spared, 1.0)
    costs = {kind: cost / excess for kind, cost in costs.items()}
    level = PERFECT[action] - sum(costs.values())

    marks = MARKS[action](level, stream(seed, index, "panel"))
    panel = judge(action, marks, routine.difficulty)
    factor, term = factor_and_term(routine.difficulty, SPECS[action].difficulty_rule)
    unit = RULES[action].scale * factor  # points of the score for one of the mark
    points = {kind: cost * unit for kind, cost in costs.items()}
    starts = stage_starts(action, stream(seed, index, "timing"), style=style)
    return Plan(
        style=style,
        action=action,
        seed=seed,
        index=index,
        routine=routine,
        severities=severities,
        deductions={
            stage: sum(points[f.kind] for f in FAULTS[action] if f.stage == stage)
            for stage in SPECS[action].stages
        },
        marks=marks,
        execution=panel.execution,
        score=panel.total,
        perfect_score=unit * PERFECT[action] + term,
        stage_starts=starts[:-1],
        frames=starts[-1],
    )


def stage_starts(
    action: str, rng: np.random.Generator, *, style: Style = "plain"
) -> tuple[int, ...]:
    """First frame of every stage, and last the number of frames."""
    plain = style == "plain"
    least, most = _CLIP[action] if plain else _BROADCAST_CLIP
    ranges = _LENGTHS[action] if plain else _BROADCAST_LENGTHS
    while True:
        lengths = [int(rng.integers(low, high + 1)) for low, high in ranges]
        if least <= sum(lengths) <= most:
            return (0, *(int(n) for n in np.cumsum(lengths)))
