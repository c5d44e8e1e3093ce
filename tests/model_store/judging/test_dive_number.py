"""What a dive number stands for, and what is said of one that stands for nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.errors import InvalidDive
from model_store.judging.dive_number import Dive


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("101B", "forward dive, pike"),
        ("102C", "forward somersault, tuck"),
        ("107B", "forward 3½ somersaults, pike"),
        ("1011C", "forward 5½ somersaults, tuck"),
        ("113B", "flying forward 1½ somersaults, pike"),
        ("204A", "back 2 somersaults, straight"),
        ("307C", "reverse 3½ somersaults, tuck"),
        ("405C", "inward 2½ somersaults, tuck"),
        ("5111A", "forward dive ½ twist, straight"),
        ("5122D", "forward somersault 1 twist, free"),
        ("5253B", "back 2½ somersaults 1½ twists, pike"),
        ("5331D", "reverse 1½ somersaults ½ twist, free"),
        ("5434D", "inward 1½ somersaults 2 twists, free"),
        ("600A", "armstand dive, straight"),
        ("611B", "armstand forward ½ somersault, pike"),
        ("626C", "armstand back 3 somersaults, tuck"),
        ("634B", "armstand reverse 2 somersaults, pike"),
        ("6241B", "armstand back 2 somersaults ½ twist, pike"),
        ("6245D", "armstand back 2 somersaults 2½ twists, free"),
    ],
)
def test_names_by_hand(number: str, name: str) -> None:
    dive = Dive.parse(number)
    assert dive.name == name
    assert dive.number == number


def test_the_parts_of_a_number() -> None:
    dive = Dive.parse("5337D")
    assert (dive.direction, dive.half_somersaults, dive.half_twists) == ("reverse", 3, 7)
    assert (dive.position, dive.is_flying, dive.is_armstand) == ("D", False, False)
    assert Dive.parse("212B").is_flying
    assert Dive.parse("6142D").is_armstand


@pytest.mark.parametrize("text", ["107b", " 107B ", "107 B", "1 0 7 b", "107B\n"])
def test_case_and_spaces_do_not_matter(text: str) -> None:
    assert Dive.parse(text) == Dive.parse("107B")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no dive number"),
        ("107", "no dive number"),
        ("B107", "no dive number"),
        ("107BB", "no dive number"),
        ("10B", "no dive number"),
        ("10711B", "no dive number"),
        ("１０７B", "no dive number"),  # digits of another script
        ("107В", "no dive number"),  # a Cyrillic letter
        ("107-B", "no dive number"),
        ("101E", "position E"),
        ("007B", "group 0"),
        ("707B", "group 7"),
        ("127B", "second digit"),
        ("100B", "no somersault"),
        ("1057B", "57 half somersaults"),
        ("1057B", "begins with 5"),
        ("107D", "free.* with twists"),
        ("113A", "flying"),
        ("111B", "flying"),
        ("525B", "four digits"),
        ("5053B", "direction 0"),
        ("5553B", "direction 5"),
        ("5103A", "no somersault"),
        ("5150B", "no twist"),
        ("5253D", r"need B \(pike\) or C \(tuck\)"),
        ("5231B", r"need D \(free\)"),
        ("5111D", "need A .straight. or B .pike. or C .tuck."),
        ("641B", "armstand"),
        ("602A", "armstand"),
        ("600C", r"need A \(straight\)"),
        ("610B", "no somersault"),
        ("6240B", "no twist.*624B"),
        ("626D", "position D"),
        ("6243B", r"need D \(free\)"),
        ("6241D", r"need B \(pike\) or C \(tuck\)"),
    ],
)
def test_what_is_wrong_is_said(text: str, what: str) -> None:
    with pytest.raises(InvalidDive, match=what) as caught:
        Dive.parse(text)
    assert caught.value.field == "dive"


def test_a_long_text_is_not_repeated() -> None:
    with pytest.raises(InvalidDive) as caught:
        Dive.parse("1" * 100_000)
    assert len(str(caught.value)) < 200


@given(st.one_of(st.text(max_size=8), st.from_regex(r"\A[0-9]{3,4}[A-F]\Z")))
def test_every_text_is_a_dive_or_refused(text: str) -> None:
    try:
        dive = Dive.parse(text)
    except InvalidDive:
        return
    assert Dive.parse(dive.number) == dive
    assert dive.half_somersaults > 0 or dive.number == "600A"
    assert dive.position != "D" or dive.half_twists
