"""
The routines that are shown, and what they are worth: the table of `routines.json`.

A routine's difficulty follows from what can be seen of it: group, somersaults, twists, position.
Dives carry platform values on the scale of the international table (2.7–4.1), vaults values on
the scale of the code of points (4.6–7.4); `weight` is how often one is drawn.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine:
    code: str
    group: str
    """Dive group or vault family."""
    somersaults: float
    """In the air; in a vault, after the table."""
    twists: float
    position: str
    """tuck, pike, straight, or free: straight while twisting, then piked."""
    difficulty: float
    weight: float
    start: str = ""
    """Group whose take-off a twisting dive shares."""


@functools.cache
def routines(action: str) -> dict[str, Routine]:
    """Every routine of an action, by its code."""
    text = resources.files(__package__).joinpath("routines.json").read_text()
    table = (Routine(**row) for row in json.loads(text)[action])
    return {routine.code: routine for routine in table}


def draw_routine(action: str, rng: np.random.Generator) -> Routine:
    table = tuple(routines(action).values())
    weights = np.array([routine.weight for routine in table])
    return table[rng.choice(len(table), p=weights / weights.sum())]
