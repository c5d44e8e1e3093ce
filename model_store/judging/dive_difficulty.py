"""
The degree of difficulty of a dive, by World Aquatics' formula.

    difficulty = A (somersaults) + B (flight position) + C (twists) + D (approach)
               + E (unnatural entry)

[WA] World Aquatics, Competition Regulations, diving, DV 3.2 to 3.4, and the component tables in
Appendix 8 (springboard) and Appendix 10 (platform), 2025. The tables below are in tenths.

How they were checked: by hand against public copies of Appendix 8, and of the tables of published
difficulties (Appendices 9 and 11). Of 950 published difficulties 946 follow from the tables below.
In the other four the copies contradict each other: 208 and 5351 from 5 m. All 68 pairs of dive and
height in 11,153 dives of official competitions of 2015 to 2021 have the difficulty declared there.
41 of the 297 values decide no published dive (such as 1½ twists forward); they are those of
Appendix 8, in which two copies agree.

A combination that is in neither has no entry, and is refused rather than guessed: such as four
somersaults from 5 m, or an armstand dive reverse with twists.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from model_store.errors import InvalidDive, InvalidPanel
from model_store.judging.dive_number import Direction, Dive
from model_store.number import as_written

T = TypeVar("T")

HEIGHTS = (1.0, 3.0, 5.0, 7.5, 10.0)  # metres: two springboards, three platforms
_SPRINGBOARDS = (1.0, 3.0)
_HEIGHTS_TEXT = "1 or 3 (springboard), 5, 7.5 or 10 (platform), metres"

# A, by height: 0, ½, 1, 1½ … 4½ somersaults. 5½ are in the tables from 10 m only.
_SOMERSAULTS: dict[float, tuple[int, ...]] = {
    1.0: (9, 11, 12, 16, 20, 24, 27, 30, 33, 38),
    3.0: (10, 13, 13, 15, 18, 22, 23, 28, 29, 35),
    5.0: (9, 11, 12, 16, 20, 24, 27, 30),
    7.5: (10, 13, 13, 15, 18, 22, 23, 28, 35),
    10.0: (10, 13, 14, 15, 19, 21, 25, 27, 35, 35),
}
_FIVE_AND_A_HALF = {10.0: 45}

_DIRECTIONS: tuple[Direction, ...] = ("forward", "back", "reverse", "inward")
# B, by the number of somersaults up to which a row holds, and position: forward, back, reverse,
# inward. E is what flying adds to the position.
_FLIGHT: dict[float, dict[str, tuple[int | None, ...]]] = {
    1.0: {
        "A": (3, 3, 3, 1),
        "B": (2, 2, 2, -2),
        "C": (1, 1, 1, -3),
        "D": (1, 1, 1, -1),
        "E": (2, 1, 1, 4),
    },
    2.0: {
        "A": (4, 5, 6, 8),
        "B": (1, 3, 3, 3),
        "C": (0, 0, 0, 1),
        "D": (0, -1, -1, 2),
        "E": (2, 2, 2, 5),
    },
    2.5: {
        "A": (6, 7, 6, None),
        "B": (2, 3, 2, 5),
        "C": (0, 1, 0, 2),
        "E": (3, 3, 3, 7),
    },
    3.5: {
        "B": (3, 3, 3, 6),
        "C": (0, 0, 0, 3),
        "E": (4, None, None, None),
    },
    4.5: {"B": (4, 4, 5, 8), "C": (0, 1, 2, 4)},
    5.5: {"C": (0, None, None, None)},
}
_FLIGHT_FROM_PLATFORM = {"B": (4, 4, 6, 7), "C": (0, 1, 3, 4)}  # the row of 4½ there
_ARMSTAND_FLIGHT = {
    1.0: {"A": 4, "B": 3, "C": 1, "D": 0},
    2.0: {"A": 5, "B": 3, "C": 0, "D": 0},
    3.0: {"B": 4, "C": 2},
    4.0: {"B": 5, "C": 3},
}

# C, by half twists and the somersaults up to which a row holds: forward, back, reverse, inward.
_TWISTS: dict[int, dict[float, tuple[int | None, ...]]] = {
    1: {1.0: (4, 2, 2, 2), 2.0: (4, 4, 4, 4), 2.5: (4, 0, 0, 2), 3.5: (4, 0, 0, 4)},
    2: {3.5: (6, 4, 4, 4)},
    3: {2.0: (8, 8, 8, 8), 3.5: (8, 7, 6, 8)},
    4: {3.5: (10, 8, 8, 8)},
    5: {2.0: (12, 12, 12, 12), 3.5: (12, 11, 10, 12)},
    6: {2.5: (15, 14, 14, 15)},
    7: {2.0: (16, 17, 18, 16)},
    8: {2.0: (19, 18, 18, 19)},
    9: {2.0: (20, 21, 21, 20)},
}
_TWISTS_FROM_PLATFORM: dict[int, dict[float, tuple[int | None, ...]]] = {
    3: {2.0: (8, 8, 8, 8), 3.5: (8, 6, 6, 8)},
    5: {2.0: (12, 12, 12, 12), 3.5: (12, 10, 10, 12)},
    7: {2.0: (16, 17, 17, 16), 2.5: (None, 15, None, None)},
}
# By direction, half somersaults and half twists.
_ARMSTAND_TWISTS = {
    ("forward", 2, 2): 10, ("forward", 4, 2): 10, ("forward", 6, 2): 8,
    ("forward", 2, 4): 13, ("forward", 4, 4): 13,
    ("back", 2, 1): 0, ("back", 4, 1): 1, ("back", 6, 1): 1,
    ("back", 4, 3): 9, ("back", 6, 3): 9,
    ("back", 4, 5): 13, ("back", 6, 5): 13,
    ("back", 4, 7): 17,
}  # fmt: skip

# D, by direction and height: (up to so many somersaults, value), in that order.
_APPROACH: dict[Direction, dict[float, tuple[tuple[float, int], ...]]] = {
    "forward": {
        1.0: ((3.5, 0), (4.5, 5)),
        3.0: ((3.5, 0), (4.5, 3)),
        5.0: ((3.5, 0),),
        7.5: ((3.5, 0),),
        10.0: ((3.5, 0), (5.5, 2)),
    },
    "back": {
        1.0: ((3.0, 2), (4.5, 6)),
        3.0: ((3.0, 2), (4.5, 4)),
        5.0: ((3.0, 2),),
        7.5: ((3.0, 2), (4.5, 3)),
        10.0: ((4.5, 2),),
    },
    "reverse": {
        1.0: ((3.0, 3), (4.5, 5)),
        3.0: ((4.5, 3),),
        5.0: ((2.0, 3), (3.0, 4)),
        7.5: ((2.0, 3), (4.5, 4)),
        10.0: ((2.0, 3), (3.0, 4), (4.5, 3)),
    },
    "inward": {
        1.0: ((1.0, 6), (4.5, 5)),
        3.0: ((4.5, 3),),
        5.0: ((1.0, 6), (4.5, 5)),
        7.5: ((4.5, 3),),
        10.0: ((1.0, 3), (4.5, 2)),
    },
}
_ARMSTAND_APPROACH: dict[Direction, tuple[tuple[float, int], ...]] = {
    "forward": ((2.0, 2), (3.0, 4)),
    "back": ((0.5, 2), (4.0, 4)),
    "reverse": ((0.5, 3), (4.0, 5)),
}

# E, by half somersaults; none for a dive with twists, and 0 where it is not listed.
_ENTRY_BLIND_FORWARD = {2: 1, 4: 2, 6: 2, 8: 2}  # forward and inward
_ENTRY_BLIND_BACK = {1: 1, 3: 2, 5: 3, 7: 4, 9: 4}  # back and reverse
_ARMSTAND_ENTRY: dict[Direction, dict[int, int]] = {
    "forward": {0: 0, 1: 1, 2: 0, 4: 0, 6: 0},
    "back": {1: 0, 2: 1, 3: 0, 4: 2, 6: 2, 8: 3},
    "reverse": {1: 0, 2: 1, 3: 0, 4: 2, 6: 2, 8: 3},
}


_HARDEST = 48  # 309B and 638B; a sum above it is of a dive that nobody has done


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredDive:
    """A dive, and what it is worth from its height."""

    number: str
    height_m: float
    """One of `HEIGHTS`."""
    name: str
    difficulty: float
    """In tenths, 1.2 to 4.8."""


def difficulty_of(dive: Dive, height: float) -> float:
    """The difficulty from a height in metres.   Raises InvalidDive, which names the field."""
    if height not in HEIGHTS:
        raise InvalidDive(f"{as_written(height)}, need {_HEIGHTS_TEXT}", field="height")
    if dive.is_armstand and height in _SPRINGBOARDS:
        need = f"{dive.number} is an armstand dive, need a platform: 5, 7.5 or 10 m"
        raise InvalidDive(f"{height:g}, and {need}", field="height")
    parts = _armstand_parts(dive, height) if dive.is_armstand else _parts(dive, height)
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or sum(known) > _HARDEST:
        text = f"{dive.number} ({dive.name}): the component tables have no value for it"
        raise InvalidDive(f"{text} from {height:g} m", field="dive")
    return sum(known) / 10


def declared_dive(number: str, height: float) -> DeclaredDive:
    """Raises InvalidDive."""
    dive = Dive.parse(number)
    return DeclaredDive(
        number=dive.number,
        height_m=height,
        name=dive.name,
        difficulty=difficulty_of(dive, height),
    )


def declared(
    action: str, difficulty: float | None, dive: str | None, height: float | None
) -> tuple[float | None, DeclaredDive | None]:
    """The difficulty that was declared, as a number or by the number of the dive.

    Raises InvalidDive and InvalidPanel, which name the field: one of `dive` and `height` alone, a
    dive of another action than diving, a difficulty that is not the dive's.
    """
    if dive is None and height is None:
        return difficulty, None
    if action != "diving":
        field = "height" if dive is None else "dive"
        raise InvalidDive(f"{action} has none, need the difficulty as a number", field=field)
    if dive is None:
        raise InvalidDive("missing, a height needs the number of the dive", field="dive")
    if height is None:
        text = f"missing, the difficulty of a dive depends on it: need {_HEIGHTS_TEXT}"
        raise InvalidDive(text, field="height")
    found = declared_dive(dive, height)
    if difficulty is not None and not math.isclose(difficulty, found.difficulty, abs_tol=1e-6):
        text = f"{as_written(difficulty)}, but {found.number} from {height:g} m has"
        need = f"{text} {found.difficulty:g}; leave out one of the two"
        raise InvalidPanel(need, field="difficulty")
    return found.difficulty, found


def _parts(dive: Dive, height: float) -> tuple[int | None, ...]:
    """A, B, C, D, E in tenths; None where the tables have no value."""
    halves, column = dive.half_somersaults, _DIRECTIONS.index(dive.direction)
    somersaults, is_platform = halves / 2, height not in _SPRINGBOARDS
    row: Mapping[str, tuple[int | None, ...]] = _up_to(_FLIGHT, somersaults) or {}
    if is_platform and somersaults in (4.0, 4.5):
        row = _FLIGHT_FROM_PLATFORM
    if dive.direction in ("forward", "inward"):
        entry = _ENTRY_BLIND_FORWARD.get(halves, 0)
        if is_platform and halves == 8:
            entry = 0
    else:
        entry = _ENTRY_BLIND_BACK.get(halves, 0)
    return (
        _somersaults(halves, height),
        _column(row.get(dive.position), column),
        _column(row.get("E"), column) if dive.is_flying else 0,
        _column(_twists(dive, is_platform), column) if dive.half_twists else 0,
        _up_to(dict(_APPROACH[dive.direction][height]), somersaults),
        0 if dive.half_twists else entry,
    )


def _armstand_parts(dive: Dive, height: float) -> tuple[int | None, ...]:
    halves, somersaults = dive.half_somersaults, dive.half_somersaults / 2
    twists: int | None = 0
    entry = _ARMSTAND_ENTRY[dive.direction].get(halves)
    if dive.half_twists:
        twists, entry = _ARMSTAND_TWISTS.get((dive.direction, halves, dive.half_twists)), 0
    return (
        _somersaults(halves, height),
        (_up_to(_ARMSTAND_FLIGHT, somersaults) or {}).get(dive.position),
        twists,
        _up_to(dict(_ARMSTAND_APPROACH[dive.direction]), somersaults),
        entry,
    )


def _somersaults(halves: int, height: float) -> int | None:
    if halves == 11:
        return _FIVE_AND_A_HALF.get(height)
    values = _SOMERSAULTS[height]
    return values[halves] if halves < len(values) else None


def _twists(dive: Dive, is_platform: bool) -> tuple[int | None, ...] | None:
    table = _TWISTS | _TWISTS_FROM_PLATFORM if is_platform else _TWISTS
    return _up_to(table[dive.half_twists], dive.half_somersaults / 2)


def _column(row: tuple[int | None, ...] | None, column: int) -> int | None:
    return None if row is None else row[column]


def _up_to(rows: Mapping[float, T], somersaults: float) -> T | None:
    """The value of the first row that reaches so far."""
    return next((value for most, value in rows.items() if somersaults <= most), None)
