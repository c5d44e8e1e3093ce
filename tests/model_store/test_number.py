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
        ("3,3", 3.3),  # a decimal comma
        ("-0,25", -0.25),
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
        "1,000",  # thousands, or a decimal comma
        "3,3e1",
        "3,",
        ",5",
        "3,3,3",
        "3.3,3",
        "3 3",
        "1e",
        ".",
        "−3",
    ],
)
def test_what_python_alone_may_take_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|too large"):
        number(text)


def test_a_long_text_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="too large") as caught:
        number("9" * 4000)
    assert len(str(caught.value)) < 60


@pytest.mark.parametrize(
    "text",
    [
        "8.5,8,9",
        "8.5, 8, 9",
        "8.5 8 9",
        " 8.5  8\t9 ",
        "8.5 ,8 ,9",
        "8.5\n8\n9",
        "8.5, 8 9",
        "8.5;8;9",
        "8,5 8 9",
        "8,5 8,0 9,0",
        "8,5, 8, 9",
        "8,5; 8; 9",
        "8,5;8,0;9",
        "8,5\t8\t9,0",
    ],
)
def test_marks_with_commas_spaces_or_semicolons(text: str) -> None:
    assert numbers(text) == [8.5, 8, 9]


@pytest.mark.parametrize("text", ["8,8,9", "8, 8, 9", "8 8 9"])
def test_whole_marks_between_commas(text: str) -> None:
    assert numbers(text) == [8, 8, 9]


@pytest.mark.parametrize(
    "text",
    ["8.5,8,", "8,,9", "8_0 9", "٨ ٩", "8 nan", "8|9", "8,5,8 9", "8 , , 9", "8;;9", "", " "],
)
def test_marks_that_are_none_are_counted(text: str) -> None:
    with pytest.raises(ValueError, match=r"number [0-9]"):
        numbers(text)


@pytest.mark.parametrize("text", ["8,5,8,8,5", "8,5", "8,8,5,8,8", "8,0,8,0", "0,0,0,0,0"])
def test_a_comma_that_may_be_a_decimal_comma_or_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"two ways.*spaces between the numbers"):
        numbers(text)


def test_far_too_many_numbers_are_not_read() -> None:
    with pytest.raises(ValueError, match="2000 characters, need at most 1000"):
        numbers("8," * 1000)


@pytest.mark.parametrize("text", ["8.5 8,5 8", "8.5, 8,5", "8,5; 8.5"])
def test_decimal_points_and_commas_are_not_mixed(text: str) -> None:
    with pytest.raises(ValueError, match="need one of the two"):
        numbers(text)
