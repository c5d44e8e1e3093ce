"""
Everything about a simulated routine that is known before a pixel is drawn.

A plan is drawn in well under a millisecond, so distributions are checked without rendering.
deductions are points of the final score, noise-free: perfect_score − their sum = true_score;
the judges' score scatters around true_score.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model_store.spec import SPECS
from training.simulator.faults import FAULTS, draw_severities, fault, without_rivals
from training.simulator.panel import (
    diving_execution,
    diving_marks,
    vault_execution,
    vault_marks,
)
from training.simulator.routines import Routine, draw_routine, routines
from training.simulator.seeds import stream

PERFECT = {"diving": 9.45, "vault": 9.61}  # mark, or E, of a routine without a fault
WORST = {"diving": 0.5, "vault": 6.5}  # grave faults together never cost more than leaves this

_LENGTHS = {  # first and last possible length of each stage, in frames
    "diving": ((22, 40), (13, 17), (37, 47), (14, 17), (24, 36)),
    "vault": ((16, 25), (9, 12), (8, 11), (24, 30), (20, 27)),
}
_CLIP = {"diving": (100, 151), "vault": (75, 100)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    action: str
    seed: int
    index: int
    routine: Routine
    severities: dict[str, float]
    """By kind of fault, 0…1; every kind of the action."""
    fault_costs: dict[str, float]
    """By kind, points of the final score, noise-free."""
    deductions: dict[str, float]
    """By stage of the spec, points of the final score, noise-free."""
    marks: tuple[float, ...]
    execution: float
    score: float
    """As announced: the panel's execution × or + difficulty."""
    perfect_score: float
    stage_starts: tuple[int, ...]
    frames: int

    @property
    def true_score(self) -> float:
        """What a panel without bias and noise would give."""
        return self.perfect_score - sum(self.deductions.values())

    def stage_range(self, stage: str) -> range:
        """Frames of a stage."""
        i = SPECS[self.action].stages.index(stage)
        return range(*(*self.stage_starts, self.frames)[i : i + 2])


def draw_plan(
    action: str,
    seed: int,
    index: int,
    *,
    faults: Mapping[str, float] | None = None,
    code: str | None = None,
) -> Plan:
    """Clip `index` of `seed`; `faults` replaces severities by kind, `code` the routine."""
    if action not in FAULTS:
        raise ValueError(f"action is {action!r}, there are {sorted(FAULTS)}")
    drawn = draw_routine(action, stream(seed, index, "routine"))
    routine = routines(action)[code] if code is not None else drawn
    severities = draw_severities(action, routine.position, stream(seed, index, "faults"))
    for kind, severity in (faults or {}).items():
        if not 0 <= severity <= 1:
            raise ValueError(f"severity of {kind} is {severity}, need 0…1")
        for rival in fault(action, kind).rivals if severity else ():
            severities[rival] = 0.0
        severities[kind] = float(severity)
    severities = without_rivals(action, severities)

    costs = {f.kind: f.weight * severities[f.kind] for f in FAULTS[action]}
    spared = PERFECT[action] - WORST[action]
    excess = max(sum(costs.values()) / spared, 1.0)
    costs = {kind: cost / excess for kind, cost in costs.items()}
    level = PERFECT[action] - sum(costs.values())

    judges = stream(seed, index, "panel")
    if action == "diving":
        marks = diving_marks(level, judges)
        execution = diving_execution(marks)
        score, unit = execution * routine.difficulty, 3 * routine.difficulty
        perfect = unit * PERFECT[action]
    else:
        marks = vault_marks(level, judges)
        execution = vault_execution(marks)
        score, unit = execution + routine.difficulty, 1.0
        perfect = PERFECT[action] + routine.difficulty
    points = {kind: cost * unit for kind, cost in costs.items()}
    starts = stage_starts(action, stream(seed, index, "timing"))
    return Plan(
        action=action,
        seed=seed,
        index=index,
        routine=routine,
        severities=severities,
        fault_costs=points,
        deductions={
            stage: sum(points[f.kind] for f in FAULTS[action] if f.stage == stage)
            for stage in SPECS[action].stages
        },
        marks=marks,
        execution=execution,
        score=round(score, 3),
        perfect_score=perfect,
        stage_starts=starts[:-1],
        frames=starts[-1],
    )


def stage_starts(action: str, rng: np.random.Generator) -> tuple[int, ...]:
    """First frame of every stage, and last the number of frames."""
    least, most = _CLIP[action]
    while True:
        lengths = [int(rng.integers(low, high + 1)) for low, high in _LENGTHS[action]]
        if least <= sum(lengths) <= most:
            return (0, *(int(n) for n in np.cumsum(lengths)))
