import pytest

from model_store.number import number, numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.3", 3.3),
        (" 3 ", 3.0),
        ("+.5", 0.5),
        ("-2.", -2.0),
        ("1e1", 10.0),
        ("0x1".removesuffix("x1"), 0),
    ],
)
def test_what_is_a_number(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1_0",
        "٣",
        "３",
        "²",
        "nan",
        "inf",
        "-Infinity",
        "1e400",
        "0x10",
        "3,3",
        "3 3",
        "1e",
        ".",
        "−3",
    ],
)
def test_what_python_alone_may_take_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|too large"):
        number(text)


@pytest.mark.parametrize(
    "text", ["8.5,8,9", "8.5, 8, 9", "8.5 8 9", " 8.5  8\t9 ", "8.5 ,8 ,9", "8.5\n8\n9"]
)
def test_marks_with_commas_or_spaces(text: str) -> None:
    assert numbers(text) == [8.5, 8, 9]


@pytest.mark.parametrize(
    "text", ["8,5 8,0 9,0", "8.5,8,", "8,,9", "8;9", "8.5, 8 9", "8_0 9", "٨ ٩", "8 nan"]
)
def test_marks_in_doubt_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number "):
        numbers(text)
