"""
Everything about a simulated skating programme that is known before a pixel is drawn.

score = the base values of all elements (difficulty) + FACTOR × the panel's mark (execution). A
fault of an element costs marks, so deductions are known by element.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.spec import SKATING
from training.simulator.elements import Element, draw_elements, parse_elements
from training.simulator.faults import ELEMENT_FAULTS, Fault, draw_severities, overridden
from training.simulator.judges import skating_execution, skating_marks
from training.simulator.performance import Performance
from training.simulator.seeds import stream

PERFECT = 9.4  # mark of a programme without a fault
WORST = 2.0  # grave faults together never cost more than leaves this
FACTOR = 5.0  # points of the score a mark
BETWEEN = 6  # frames of gliding at least before, between and after elements

_AROUND = {"jump": (10, 16), "spin": (6, 8), "glide": (4, 4)}  # frames before and after the core
_CORE = {"upright": (18, 24), "sit": (18, 24), "camel": (18, 24), "spiral": (18, 28),
         "steps": (28, 40)}  # fmt: skip
_IN_COMBINATION = 12  # frames of each position of a spin that has several


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An element in its place."""

    number: int
    """In the programme, from 1."""
    element: Element
    frames: range
    core: range
    """Of the frames those in the air, spinning, or in the position of a glide."""

    @property
    def name(self) -> str:
        return f"{self.number}.{self.element.code}"

    def fault(self, kind: str) -> str:
        """What a fault of this element is called."""
        return f"{self.number}.{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme(Performance):
    items: tuple[Item, ...]

    @property
    def difficulty(self) -> float:
        return round(sum(item.element.value for item in self.items), 2)

    @property
    def title(self) -> str:
        return " ".join(item.element.code for item in self.items)

    @property
    def parts(self) -> dict[str, range]:
        return {item.name: item.frames for item in self.items}

    @property
    def faults(self) -> tuple[Fault, ...]:
        return _faults([item.element for item in self.items])

    def moments(self, count: int) -> list[int]:
        """The middle of every element, and where there is a fault, what comes of it."""
        middle = [item.core[len(item.core) // 2] for item in self.items]
        landed = [
            item.core.stop + 3
            for item in self.items
            if item.element.kind == "jump" and self.deductions[item.name]
        ]
        found = sorted(middle + landed)
        thinned = np.linspace(0, len(found) - 1, min(count, len(found))).round()
        return [found[int(i)] for i in thinned]

    def columns(self) -> dict[str, Any]:
        items = self.items
        worst = dict.fromkeys((f.kind for f in ELEMENT_FAULTS), 0.0)
        for name, severity in self.severities.items():
            kind = name.partition(".")[2]
            worst[kind] = max(worst[kind], severity)
        return {
            "elements": " ".join(item.name for item in items),
            "element_starts": " ".join(str(item.frames.start) for item in items),
            "element_ends": " ".join(str(item.frames.stop) for item in items),
            "element_values": " ".join(str(item.element.value) for item in items),
            "element_deductions": " ".join(f"{d:.4f}" for d in self.deductions.values()),
            "faults": " ".join(f"{name}={s:.4f}" for name, s in self.severities.items() if s),
            "frames": self.frames,
            "true_score": f"{self.true_score:.4f}",
            **{f"fault_{kind}": f"{severity:.4f}" for kind, severity in worst.items()},
        }


def draw_programme(
    seed: int, index: int, *, faults: Mapping[str, float] | None = None, code: str | None = None
) -> Programme:
    """Clip `index` of `seed`; `faults` replaces severities by kind ("3.fall" is the third
    element's), `code` the elements ("2A CSp …")."""
    drawn = draw_elements(stream(seed, index, "routine"))
    chosen = parse_elements(code) if code is not None else drawn
    items = _place(chosen, stream(seed, index, "timing"))
    possible = _faults(chosen)
    severities = draw_severities(possible, stream(seed, index, "faults"))
    severities = overridden(possible, severities, faults or {})

    costs = {f.kind: f.weight * severities[f.kind] for f in possible}
    excess = max(sum(costs.values()) / (PERFECT - WORST), 1.0)
    costs = {kind: cost / excess for kind, cost in costs.items()}
    marks = skating_marks(PERFECT - sum(costs.values()), stream(seed, index, "panel"))
    execution = FACTOR * skating_execution(marks)
    difficulty = sum(element.value for element in chosen)
    return Programme(
        action="skating",
        seed=seed,
        index=index,
        items=items,
        severities=severities,
        deductions={
            item.name: FACTOR * sum(costs[f.kind] for f in possible if f.stage == item.name)
            for item in items
        },
        marks=marks,
        execution=execution,
        score=round(execution + difficulty, 3),
        perfect_score=FACTOR * PERFECT + difficulty,
        frames=SKATING.frames,
    )


def _faults(chosen: tuple[Element, ...] | list[Element]) -> tuple[Fault, ...]:
    """The faults of every element, named after it."""
    return tuple(
        dataclasses.replace(
            fault,
            kind=f"{number}.{fault.kind}",
            stage=f"{number}.{element.code}",
            rivals=tuple(f"{number}.{rival}" for rival in fault.rivals),
        )
        for number, element in enumerate(chosen, 1)
        for fault in ELEMENT_FAULTS
        if fault.stage == element.kind
    )


def _place(chosen: tuple[Element, ...], rng: np.random.Generator) -> tuple[Item, ...]:
    """Spread over the frames of a clip, with gliding in between."""
    cores = [_core(element, rng) for element in chosen]
    around = [_AROUND[element.kind] for element in chosen]
    lengths = [before + core + after for core, (before, after) in zip(cores, around, strict=True)]
    free = SKATING.frames - sum(lengths) - BETWEEN * (len(chosen) + 1)
    if free < 0:
        raise ValueError(f"{len(chosen)} elements do not fit into {SKATING.frames} frames")
    shares = rng.dirichlet(np.full(len(chosen) + 1, 3.0))
    gaps = BETWEEN + np.floor(shares * free).astype(int)
    items, at = [], 0
    for n, element in enumerate(chosen):
        start = at + int(gaps[n])
        first = start + around[n][0]
        at = start + lengths[n]
        core = range(first, first + cores[n])
        items.append(Item(number=n + 1, element=element, frames=range(start, at), core=core))
    return tuple(items)


def _core(element: Element, rng: np.random.Generator) -> int:
    if element.kind == "jump":
        # Up to three times as long as a real one, of which 4.8 frames a second would show three
        # frames: so no turn exceeds 150° a frame, and turns can be counted.
        return round(2 + 2 * element.turns)
    if len(element.positions) > 1:
        return _IN_COMBINATION * len(element.positions)
    return int(rng.integers(*_CORE[element.positions[0]]))
