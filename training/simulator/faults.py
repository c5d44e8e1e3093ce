"""
What an athlete can do wrong, in which stage it happens, and what it costs.

A fault belongs to exactly one part (a stage, or an element of a programme) and is to be seen in
that part alone. Severities are 0…1; a fault costs weight × severity, in marks of one judge (diving
and skating, 0–10) or in points of E (vault).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

QUALITY_SHARE = 0.15  # correlation of a fault's latent value with the athlete's quality
LEAST = 0.15  # severity from which a fault that is there at all can be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: str
    stage: str
    """The part; in ELEMENT_FAULTS the kind of element."""
    weight: float
    """Marks (diving, skating) or points of E (vault) at severity 1."""
    chance: float
    """Share of routines that show it at all."""
    positions: tuple[str, ...] = ("tuck", "pike", "straight", "free")
    """Positions of the routine in which the fault is possible."""
    rivals: tuple[str, ...] = ()
    """Kinds that cannot happen together with this one; the graver one stays."""


_STRETCHED = ("pike", "straight", "free")

FAULTS: dict[str, tuple[Fault, ...]] = {
    "diving": (
        Fault(kind="unsteady_start", stage="start", weight=0.95, chance=0.32),
        Fault(kind="weak_takeoff", stage="take-off", weight=1.3, chance=0.36),
        Fault(kind="bent_knees", stage="flight", weight=1.45, chance=0.4, positions=_STRETCHED),
        Fault(kind="parted_legs", stage="flight", weight=1.3, chance=0.34),
        Fault(kind="loose_position", stage="flight", weight=1.2, chance=0.34),
        Fault(
            kind="over_rotation",
            stage="entry",
            weight=1.45,
            chance=0.22,
            rivals=("under_rotation",),
        ),
        Fault(
            kind="under_rotation",
            stage="entry",
            weight=1.45,
            chance=0.22,
            rivals=("over_rotation",),
        ),
        Fault(kind="crooked_entry", stage="entry", weight=1.2, chance=0.34),
        Fault(kind="splash", stage="splash", weight=1.05, chance=0.92),
    ),
    "vault": (
        Fault(kind="parted_preflight", stage="pre-flight", weight=0.34, chance=0.36),
        Fault(kind="bent_preflight", stage="pre-flight", weight=0.38, chance=0.36),
        Fault(kind="bent_arms", stage="support", weight=0.48, chance=0.38),
        Fault(kind="piked_support", stage="support", weight=0.38, chance=0.36),
        Fault(kind="low_height", stage="after-flight", weight=0.48, chance=0.34),
        Fault(
            kind="bent_knees",
            stage="after-flight",
            weight=0.48,
            chance=0.36,
            positions=("pike", "straight"),
        ),
        Fault(kind="parted_legs", stage="after-flight", weight=0.42, chance=0.32),
        Fault(kind="loose_position", stage="after-flight", weight=0.36, chance=0.32),
        Fault(kind="deep_knees", stage="landing", weight=0.44, chance=0.38),
        Fault(kind="step", stage="landing", weight=0.33, chance=0.36, rivals=("hop", "fall")),
        Fault(kind="hop", stage="landing", weight=0.45, chance=0.22, rivals=("step", "fall")),
        Fault(kind="fall", stage="landing", weight=1.0, chance=0.08, rivals=("step", "hop")),
    ),
}


ELEMENT_FAULTS = (
    Fault(kind="under_rotated", stage="jump", weight=0.55, chance=0.22),
    Fault(kind="two_footed", stage="jump", weight=0.4, chance=0.2, rivals=("stumble", "fall")),
    Fault(kind="stumble", stage="jump", weight=0.6, chance=0.2, rivals=("two_footed", "fall")),
    Fault(kind="fall", stage="jump", weight=1.3, chance=0.1, rivals=("two_footed", "stumble")),
    Fault(kind="slow", stage="spin", weight=0.6, chance=0.35),
    Fault(kind="travelling", stage="spin", weight=0.5, chance=0.35),
    Fault(kind="unsteady", stage="glide", weight=0.7, chance=0.4),
)
"""Of a skating programme, by kind of element: `programme.py` gives them to its elements."""


def fault(faults: Sequence[Fault], kind: str) -> Fault:
    """The fault of that name; KeyError names the kinds that exist."""
    for candidate in faults:
        if candidate.kind == kind:
            return candidate
    raise KeyError(f"{kind!r} is no fault here; there are {tuple(f.kind for f in faults)}")


def possible(action: str, position: str) -> tuple[Fault, ...]:
    """What a routine in `position` can show."""
    return tuple(f for f in FAULTS[action] if position in f.positions)


def draw_severities(
    faults: Sequence[Fault], rng: np.random.Generator, *, position: str = "free"
) -> dict[str, float]:
    """Severity 0…1 of every kind: mostly 0, rarely grave, worse together on a bad day."""
    quality = rng.standard_normal()
    if rng.random() < 0.04:  # a missed routine
        quality += 2.0
    drawn: dict[str, float] = {}
    for f in faults:
        own, shape = rng.standard_normal(), rng.random()
        latent = math.sqrt(QUALITY_SHARE) * quality + math.sqrt(1 - QUALITY_SHARE) * own
        better = 0.5 * math.erfc(-latent / math.sqrt(2))  # share of all who do better here
        rank = (better - (1 - f.chance)) / f.chance  # above 0 where the fault is there
        severity = LEAST + (1 - LEAST) * max(rank, 0.0) ** (1.5 + shape)
        drawn[f.kind] = severity if rank > 0 and position in f.positions else 0.0
    return without_rivals(faults, drawn)


def overridden(
    faults: Sequence[Fault], drawn: Mapping[str, float], given: Mapping[str, float]
) -> dict[str, float]:
    """The severities that were drawn, replaced by those that are given."""
    severities = dict(drawn)
    for kind, severity in given.items():
        if not 0 <= severity <= 1:
            raise ValueError(f"severity of {kind} is {severity}, need 0…1")
        rivals = fault(faults, kind).rivals
        for rival in rivals if severity else ():
            severities[rival] = 0.0
        severities[kind] = float(severity)
    return without_rivals(faults, severities)


def without_rivals(faults: Sequence[Fault], severities: Mapping[str, float]) -> dict[str, float]:
    """Of kinds that exclude one another the graver one stays, the others become 0."""
    return {
        f.kind: severities[f.kind]
        if all(severities[f.kind] > severities[rival] for rival in f.rivals)
        else 0.0
        for f in faults
    }
