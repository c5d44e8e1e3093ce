"""The formula against published difficulties, and what the tables do not have."""

import contextlib
import itertools

import pytest

from model_store.errors import InvalidDive, InvalidField, InvalidPanel
from model_store.judging.difficulty import check_difficulty
from model_store.judging.dive_difficulty import (
    HEIGHTS,
    DeclaredDive,
    declared,
    declared_dive,
    difficulty_of,
)
from model_store.judging.dive_number import Dive

# World Aquatics, tables of degrees of difficulty: the number, and from 1, 3, 5, 7.5 and 10 m.
# Each value in the component tables that any published difficulty rests on decides one of these.
PUBLISHED = """
    101B   1.3 1.5 1.3 1.5 1.5
    103B   1.7 1.6 1.7 1.6 1.6
    104A   2.6 2.4 2.6 2.4 2.5
    105A   –   2.8 –   –   2.7
    106B   3.2 2.8 3.2 2.8 3.0
    107B   3.3 3.1 –   3.1 3.0
    107C   3.0 2.8 3.0 2.8 2.7
    108B   –   3.8 –   –   4.1
    108C   4.0 3.4 –   –   3.7
    109C   4.3 3.8 –   –   3.7
    112C   1.6 1.7 1.6 1.7 1.8
    113C   1.8 1.7 1.8 1.7 1.7
    115C   –   2.5 –   2.5 2.4
    1011C  –   –   –   –   4.7
    201B   1.6 1.8 1.6 1.8 1.8
    203A   2.5 2.4 2.5 2.4 2.4
    203C   2.0 1.9 2.0 1.9 1.9
    205A   –   –   –   –   3.3
    205B   3.2 3.0 3.2 3.0 2.9
    207C   –   3.6 –   3.5 3.3
    208B   –   3.7 –   4.2 4.1
    209C   –   4.4 –   –   4.2
    212C   1.6 1.7 1.6 1.7 1.8
    213B   –   2.4 2.5 2.4 2.4
    215C   –   3.1 –   –   3.0
    301B   1.7 1.9 1.7 1.9 1.9
    303A   2.7 2.6 2.7 2.6 2.6
    303C   2.1 2.0 2.1 2.0 2.0
    305A   –   3.4 –   3.5 3.4
    305B   3.2 3.0 3.3 3.1 3.0
    307C   –   3.5 –   –   3.4
    308B   –   3.7 –   4.5 4.4
    308C   –   3.4 –   4.2 4.1
    312C   1.7 1.8 1.7 1.8 1.9
    313B   2.6 2.5 2.6 2.5 2.5
    401B   1.5 1.4 1.5 1.4 1.4
    403C   2.2 1.9 2.2 1.9 1.8
    405B   3.4 3.0 3.4 3.0 2.8
    405C   3.1 2.7 3.1 2.7 2.5
    406B   –   –   4.0 3.4 3.5
    407C   –   3.4 –   3.4 3.2
    409B   –   4.6 –   –   4.4
    409C   –   4.2 –   –   4.1
    412C   2.0 1.8 2.0 1.8 1.9
    413B   2.9 2.6 2.9 2.6 2.5
    5111A  1.8 2.0 1.8 2.0 2.0
    5122D  1.9 2.0 1.9 2.0 2.1
    5126D  2.8 2.9 –   –   –
    5131D  2.0 1.9 2.0 1.9 1.9
    5138D  3.5 3.4 3.5 3.4 3.4
    5151B  3.0 2.8 –   –   –
    5154B  3.6 3.4 3.6 3.4 3.3
    5211A  1.8 2.0 1.8 2.0 2.0
    5212A  2.0 2.2 2.0 2.2 2.2
    5223D  2.3 2.4 2.3 2.4 2.5
    5231D  2.1 2.0 2.1 2.0 2.0
    5235D  2.9 2.8 2.9 2.8 2.8
    5237D  –   3.3 3.4 3.3 3.3
    5239D  –   3.7 3.8 3.7 3.7
    5251B  2.9 2.7 2.9 2.7 2.6
    5253B  –   3.4 –   3.3 3.2
    5255B  –   3.8 –   –   3.6
    5257B  –   –   –   –   4.1
    5271B  –   –   –   –   3.2
    5311A  1.9 2.1 1.9 2.1 2.1
    5312A  2.1 2.3 2.1 2.3 2.3
    5323D  2.4 2.5 2.4 2.5 2.6
    5325D  2.8 2.9 2.8 2.9 3.0
    5331D  2.2 2.1 2.2 2.1 2.1
    5337D  3.6 3.5 3.5 3.4 3.4
    5339D  –   3.8 –   3.8 3.8
    5351B  2.9 2.7 –   2.8 2.7
    5353C  3.3 3.1 3.4 3.2 3.1
    5355B  3.9 3.7 –   3.8 3.7
    5371B  –   3.4 –   –   3.3
    5411A  2.0 1.9 2.0 1.9 1.9
    5422D  2.1 1.9 2.1 1.9 2.0
    5434D  3.1 2.8 3.1 2.8 2.7
    5436D  –   3.5 –   –   3.4
    600A   –   –   1.5 1.6 1.6
    611A   –   –   1.8 2.0 2.0
    6122D  –   –   2.4 2.5 2.6
    6124D  –   –   2.7 2.8 2.9
    612A   –   –   1.8 1.9 2.0
    6142D  –   –   3.2 3.0 3.1
    6144D  –   –   3.5 3.3 3.4
    614C   –   –   2.2 2.0 2.1
    6162C  –   –   –   –   3.9
    616B   –   –   –   –   3.3
    621B   –   –   1.6 1.8 1.8
    6221D  –   –   1.6 1.7 1.8
    622A   –   –   2.1 2.2 2.3
    623B   –   –   2.3 2.2 2.2
    6241B  –   –   2.8 2.6 2.7
    6243D  –   –   3.3 3.1 3.2
    6245D  –   –   3.7 3.5 3.6
    6247D  –   –   –   –   4.0
    624A   –   –   3.1 2.9 3.0
    6261B  –   –   3.6 3.2 3.4
    6263B  –   –   –   –   4.2
    6265B  –   –   –   –   4.6
    626C   –   –   3.5 3.1 3.3
    628B   –   –   –   –   4.7
    631C   –   –   1.5 1.7 1.7
    632B   –   –   2.1 2.2 2.3
    633B   –   –   2.4 2.3 2.3
    634B   –   –   3.0 2.8 2.9
    636C   –   –   –   3.2 3.4
    638C   –   –   –   –   4.6
"""
ROWS = [
    (number, height, float(value))
    for number, *values in (line.split() for line in PUBLISHED.strip().splitlines())
    for height, value in zip(HEIGHTS, values, strict=True)
    if value != "–"
]


def test_published_difficulties() -> None:
    found = {
        (number, height): declared_dive(number, height).difficulty for number, height, _ in ROWS
    }
    assert found == {(number, height): value for number, height, value in ROWS}
    assert len(found) > 250


def test_a_declared_dive() -> None:
    assert declared_dive("107b", 3.0) == DeclaredDive(
        number="107B", height_m=3.0, name="forward 3½ somersaults, pike", difficulty=3.1
    )


@pytest.mark.parametrize(
    ("number", "height", "field", "what"),
    [
        ("626C", 3.0, "height", "armstand dive, need a platform"),
        ("600A", 1.0, "height", "armstand dive, need a platform"),
        ("107B", 2.0, "height", "2, need 1 or 3"),
        ("107B", 27.0, "height", "need 1 or 3"),
        ("107B", float("nan"), "height", "need 1 or 3"),
        ("107B", float("inf"), "height", "need 1 or 3"),
        ("107B", -3.0, "height", "need 1 or 3"),
        ("107A", 10.0, "dive", "no value"),  # 3½ somersaults straight
        ("1010B", 10.0, "dive", "no value"),  # five somersaults
        ("1011B", 10.0, "dive", "no value"),
        ("109C", 5.0, "dive", "no value"),
        ("5191B", 10.0, "dive", "no value"),  # 4½ somersaults with a twist
        ("613C", 10.0, "dive", "no value"),
        ("6322D", 10.0, "dive", "no value"),
    ],
)
def test_what_the_tables_do_not_have(number: str, height: float, field: str, what: str) -> None:
    with pytest.raises(InvalidDive, match=what) as caught:
        declared_dive(number, height)
    assert caught.value.field == field


def test_every_dive_has_a_difficulty_that_dives_may_have() -> None:
    """Or none: all numbers that can be written, from every height."""
    known: dict[tuple[str, float], float] = {}
    for digits in (*range(100, 700), 1010, 1011, *range(5111, 5500), *range(6111, 6400)):
        for letter, height in itertools.product("ABCD", HEIGHTS):
            with contextlib.suppress(InvalidDive):
                dive = Dive.parse(f"{digits}{letter}")
                known[dive.number, height] = difficulty_of(dive, height)
    assert len(known) > 900
    for (number, height), difficulty in known.items():
        check_difficulty("diving", difficulty)
        if (tucked := known.get((f"{number[:-1]}C", height))) and number.endswith("B"):
            assert difficulty >= tucked, number  # pike is no easier than tuck


def test_what_is_declared() -> None:
    assert declared("diving", 3.1, None, None) == (3.1, None)
    assert declared("vault", None, None, None) == (None, None)
    dive = declared_dive("107B", 3.0)
    assert declared("diving", None, "107B", 3.0) == (3.1, dive)
    assert declared("diving", 3.1, "107B", 3.0) == (3.1, dive)


@pytest.mark.parametrize(
    ("action", "difficulty", "dive", "height", "field", "what"),
    [
        ("diving", None, "107B", None, "height", "missing"),
        ("diving", None, None, 3.0, "dive", "missing"),
        ("diving", 3.0, "107B", 3.0, "difficulty", "3, but 107B from 3 m has 3.1"),
        ("diving", float("nan"), "107B", 3.0, "difficulty", "nan, but 107B"),
        ("vault", 5.8, "107B", 3.0, "dive", "vault has none"),
        ("vault", 5.8, None, 3.0, "height", "vault has none"),
    ],
)
def test_what_cannot_be_declared(
    action: str,
    difficulty: float | None,
    dive: str | None,
    height: float | None,
    field: str,
    what: str,
) -> None:
    with pytest.raises(InvalidField, match=what) as caught:
        declared(action, difficulty, dive, height)
    assert caught.value.field == field
    assert isinstance(caught.value, InvalidDive | InvalidPanel)
