"""
The number of a dive: what is done in the air, and in which position.

    107B    forward (1), not flying (0), 7 half somersaults, pike (B)
    5253B   with twists (5), back (2), 5 half somersaults, 3 half twists, pike
    626C    armstand (6), back (2), 6 half somersaults, tuck

[WA] World Aquatics, Competition Regulations, diving, DV 2 and the notes to the tables of degrees of
difficulty (Appendices 8 and 10, 2025): the groups, the digits, and which position goes with which
twisting dive.

The rule: a number that stands for no dive is refused, and the text says which part of it is wrong.
"""

import re
from dataclasses import dataclass
from typing import Literal

from model_store.errors import InvalidDive
from model_store.number import shown

Direction = Literal["forward", "back", "reverse", "inward"]
Position = Literal["A", "B", "C", "D"]

_DIRECTIONS: dict[str, Direction] = {"1": "forward", "2": "back", "3": "reverse", "4": "inward"}
_POSITIONS = {"A": "straight", "B": "pike", "C": "tuck", "D": "free"}
_SHAPE = re.compile(r"([0-9]{3,4})([A-Z])", re.ASCII)
_EXAMPLES = "such as 107B, 5253B or 626C"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dive:
    """What a dive number stands for. `Dive.parse` makes one."""

    number: str
    """As it is written in the rule book: digits and a capital."""
    direction: Direction
    half_somersaults: int
    half_twists: int
    position: Position
    is_flying: bool
    is_armstand: bool

    @classmethod
    def parse(cls, text: str) -> "Dive":
        """The dive of a number; case and spaces do not matter.   Raises InvalidDive."""
        number = "".join(text.split()).upper()
        if not (shape := _SHAPE.fullmatch(number)):
            raise _wrong(text, f"no dive number, need digits and a letter, {_EXAMPLES}")
        digits, letter = shape.groups()
        if letter not in _POSITIONS:
            names = ", ".join(f"{key} ({name})" for key, name in _POSITIONS.items())
            raise _wrong(number, f"position {letter}, need one of {names}")
        if digits[0] == "5":
            return _twisting(number, digits, letter)
        if digits[0] == "6":
            return _armstand(number, digits, letter)
        if digits[0] in _DIRECTIONS:
            return _plain(number, digits, letter)
        raise _wrong(number, f"group {digits[0]}, need 1 to 6, {_EXAMPLES}")

    @property
    def name(self) -> str:
        """In words: `forward 3½ somersaults, pike`."""
        if self.half_somersaults == 0 or (self.half_somersaults == 1 and not self.is_armstand):
            turns = "dive"
        else:
            turns = _count(self.half_somersaults, "somersault")
        parts = [
            "armstand" if self.is_armstand else "",
            "flying" if self.is_flying else "",
            self.direction if self.half_somersaults else "",
            turns,
            _count(self.half_twists, "twist") if self.half_twists else "",
        ]
        return f"{' '.join(filter(None, parts))}, {_POSITIONS[self.position]}"


def _plain(number: str, digits: str, letter: str) -> Dive:
    """Groups 1 to 4: group, flying or not, half somersaults (10 and 11 have two digits)."""
    if digits[1] not in "01":
        raise _wrong(number, "the second digit is 1 for a flying dive and 0 for any other")
    if len(digits) == 4 and digits[2] != "1":
        raise _wrong(
            number,
            f"{digits[2:]} half somersaults. A dive with twists begins with 5, such as 5152B",
        )
    half_somersaults, is_flying = int(digits[2:]), digits[1] == "1"
    if half_somersaults == 0:
        raise _wrong(number, "no somersault, need at least half of one, such as 101B")
    if letter == "D":
        raise _wrong(number, "position D (free) is for dives with twists, need A, B or C")
    if is_flying and (letter == "A" or half_somersaults < 2):
        raise _wrong(number, "a flying dive needs a somersault in position B or C, such as 112B")
    return Dive(
        number=number,
        direction=_DIRECTIONS[digits[0]],
        half_somersaults=half_somersaults,
        half_twists=0,
        position=_position(letter),
        is_flying=is_flying,
        is_armstand=False,
    )


def _twisting(number: str, digits: str, letter: str) -> Dive:
    """Group 5: direction, half somersaults, half twists."""
    if len(digits) != 4:
        raise _wrong(number, "a dive with twists has four digits, such as 5253B")
    if digits[1] not in _DIRECTIONS:
        raise _wrong(number, f"direction {digits[1]}, need 1 (forward) to 4 (inward)")
    half_somersaults, half_twists = int(digits[2]), int(digits[3])
    if half_somersaults == 0:
        raise _wrong(number, "no somersault, need at least half of one, such as 5111A")
    if half_twists == 0:
        raise _wrong(number, "no twist, need at least half of one, or a number of group 1 to 4")
    allowed = {1: "ABC", 2: "D", 3: "D"}.get(half_somersaults, "BC")
    _check_twisting(number, letter, allowed, half_somersaults)
    return Dive(
        number=number,
        direction=_DIRECTIONS[digits[1]],
        half_somersaults=half_somersaults,
        half_twists=half_twists,
        position=_position(letter),
        is_flying=False,
        is_armstand=False,
    )


def _armstand(number: str, digits: str, letter: str) -> Dive:
    """Group 6: direction, half somersaults, and half twists if there are any."""
    if digits[1] not in "0123" or (digits[1] == "0" and digits != "600"):
        raise _wrong(
            number, "an armstand dive is 600, or goes forward (61), back (62), reverse (63)"
        )
    half_somersaults, half_twists = int(digits[2]), int(digits[3:] or 0)
    if digits != "600" and half_somersaults == 0:
        raise _wrong(number, "no somersault, need at least half of one, such as 611A")
    if len(digits) == 4 and half_twists == 0:
        raise _wrong(number, f"no twist, need at least half of one, or {digits[:3]}{letter}")
    if half_twists == 0:
        allowed = "A" if digits == "600" else "ABC"
        if letter not in allowed:
            raise _wrong(number, f"position {letter}, need {_either(allowed)}")
    else:
        is_free = half_somersaults in (2, 3) or (half_somersaults == 4 and half_twists >= 2)
        _check_twisting(number, letter, "D" if is_free else "BC", half_somersaults)
    return Dive(
        number=number,
        direction=_DIRECTIONS.get(digits[1], "forward"),
        half_somersaults=half_somersaults,
        half_twists=half_twists,
        position=_position(letter),
        is_flying=False,
        is_armstand=True,
    )


def _check_twisting(number: str, letter: str, allowed: str, half_somersaults: int) -> None:
    if letter not in allowed:
        turns = f"with {half_somersaults / 2:g} somersaults and these twists"
        raise _wrong(number, f"position {letter}, need {_either(allowed)} {turns}")


def _position(letter: str) -> Position:
    return next(each for each in ("A", "B", "C", "D") if each == letter)  # narrowed for mypy


def _either(letters: str) -> str:
    return " or ".join(f"{letter} ({_POSITIONS[letter]})" for letter in letters)


def _count(halves: int, noun: str) -> str:
    """3 → 1½ somersaults, 2 → somersault or 1 twist"""
    if halves == 2:
        return noun if noun == "somersault" else f"1 {noun}"
    whole = str(halves // 2) if halves > 1 else ""
    return f"{whole}{'½' * (halves % 2)} {noun}{'s' * (halves > 2)}"


def _wrong(number: str, what: str) -> InvalidDive:
    return InvalidDive(f"{shown(number)}: {what}", field="dive")
