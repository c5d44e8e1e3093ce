"""
The elements that programmes are made of, and what they are worth: the table of `elements.json`.

Base values are on the scale of the international table. Elements that look alike are worth the
same: a jump's value follows from its turns, a spin's from its positions.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import numpy as np

Kind = Literal["jump", "spin", "glide"]

FEWEST: dict[Kind, int] = {"jump": 3, "spin": 2, "glide": 1}
SHARES: dict[Kind, float] = {"jump": 0.5, "spin": 0.35, "glide": 0.15}  # of further elements
FEWEST_ELEMENTS, MOST_ELEMENTS = 7, 12
LEVEL = 0.5  # by how much a skater of the better sixth prefers a turn more


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    code: str
    kind: Kind
    value: float
    """Base value, points."""
    weight: float
    """How often one is drawn among those of its kind."""
    turns: float = 0.0
    """In the air. Halves are Axels, which take off forwards."""
    positions: tuple[str, ...] = ()
    """One after the other, of a spin or a glide."""


@functools.cache
def elements() -> dict[str, Element]:
    """Every element, by its code."""
    text = resources.files(__package__).joinpath("elements.json").read_text()
    table = (
        Element(**row | {"positions": tuple(row.get("positions", ()))}) for row in json.loads(text)
    )
    return {element.code: element for element in table}


def draw_elements(rng: np.random.Generator) -> tuple[Element, ...]:
    """What a programme of seven to twelve elements contains, in order."""
    level = rng.standard_normal()
    kinds = [kind for kind, fewest in FEWEST.items() for _ in range(fewest)]
    further = int(rng.integers(FEWEST_ELEMENTS, MOST_ELEMENTS + 1)) - len(kinds)
    kinds += [tuple(SHARES)[i] for i in rng.choice(3, further, p=tuple(SHARES.values()))]
    return tuple(_draw_element(kinds[i], level, rng) for i in rng.permutation(len(kinds)))


def _draw_element(kind: Kind, level: float, rng: np.random.Generator) -> Element:
    table = [element for element in elements().values() if element.kind == kind]
    weights = np.array([e.weight * np.exp(LEVEL * level * e.turns) for e in table])
    return table[rng.choice(len(table), p=weights / weights.sum())]


def parse_elements(codes: str) -> tuple[Element, ...]:
    """ "3Lo CSp 2A" -> elements; KeyError names what there is."""
    if unknown := [code for code in codes.split() if code not in elements()]:
        raise KeyError(f"no elements {unknown}; there are {list(elements())}")
    return tuple(elements()[code] for code in codes.split())
