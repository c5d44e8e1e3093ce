"""A meet as a CSV file, as people and spreadsheets write one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.judging.meet_table import InvalidTable, judge_table

PLAIN = """diver,dive,height,difficulty,j1,j2,j3
Anna,107B,3,,8.5,8,8
Ben,,,2.4,6,6.5,6
"""
GERMAN = """Diver;Dive;Height;Difficulty;J1;J2;J3
Anna;107B;3;;8,5;8;8
Ben;;;2,4;6;6,5;6
"""


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\n,,,,,,\n").encode(),  # empty rows
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", ", ").encode(),
        PLAIN.replace("8.5", '"8,5"').encode(),
        PLAIN.removesuffix("\n").encode(),
        "\n".join(f"{line},," for line in PLAIN.splitlines()).encode(),  # empty columns
        GERMAN.encode(),
        GERMAN.encode("utf-8-sig"),
    ],
    ids=[
        "plain", "mark of order", "Windows", "empty rows", "tabs", "spaces", "quoted", "no newline",
        "empty columns", "German", "German with a mark",
    ],
)  # fmt: skip
def test_tables_as_they_are_written(content: bytes) -> None:
    meet = judge_table("diving", content)
    assert [dive.diver for dive in meet.dives] == ["Anna", "Ben"]
    assert [dive.panel.total for dive in meet.dives] == [
        pytest.approx(24.5 * 3.1),
        pytest.approx(18.5 * 2.4),
    ]
    assert [judge.judge for judge in meet.judges] == [1, 2, 3]


def test_an_empty_mark_is_a_judge_who_was_not_there() -> None:
    table = "difficulty,j1,j2,j3,j4\n2,8,8,,8.5\n2,,8,7.5,7\n"
    meet = judge_table("diving", table.encode())
    assert [dive.judges for dive in meet.dives] == [(1, 2, 4), (2, 3, 4)]


def test_vault() -> None:
    table = b"difficulty,deductions,j1,j2,j3,j4\n5.8,0.1,9.0,9.1,9.2,8.9\n"
    assert judge_table("vault", table).dives[0].panel.total == 14.75


@pytest.mark.parametrize(
    ("table", "texts"),
    [
        (b"", ["line 1: no judge; need diver, dive"]),
        (b"diver,dive\n", ["line 1: no judge"]),
        (b"j1,j2,points\n8,8,3\n", ["line 1: 'points'; need diver"]),
        (b"j1,j1,j2\n8,8,8\n", ["line 1: j1 is there twice"]),
        (b"difficulty,j1,j2\n", ["no dives"]),
        (
            b"difficulty,j1,j2\n2,8,8,9\n2,x,8\n2,8\n2,8,99\n",
            ["line 2, 4 cells, need 3", "line 3, j1", "line 4, 2 cells, need 3", "line 5, j1"],
        ),
        (b"difficulty,j1,j2\n2,8,\xff\n", ["UTF-8"]),
        ("difficulty,j1,j2\n2,8,8".encode("utf-16"), ["UTF-8"]),
        (b"difficulty,j1,j2\n2,8,x\n", ["line 2, j2: 'x' is not a number"]),
        (b"difficulty,j1,j2\n2,8,1e400\n", ["line 2, j2: '1e400' is too large"]),
        (b"difficulty,j1,j2\n2,8,nan\n", ["line 2, j2: 'nan' is not a number"]),
        (b"difficulty,j1,j2\n2,8,8.2\n", ["line 2, j1 to j2: judge 2 gives 8.2"]),
        (b"difficulty,j1,j2\n2,8,\n", ["line 2, j1: 1 mark, need 2, 3"]),
        (b"difficulty,j1,j2\n2,,\n", ["line 2, j1: 0 marks"]),
        (b"difficulty,j1,j2\n\n,8,8\n", ["line 3, difficulty: missing"]),
        (b"dive,j1,j2\n107B,8,8\n", ["line 2, height: missing"]),
        (b"dive,height,j1,j2\n101E,3,8,8\n", ["line 2, dive: '101E': position E"]),
        (b"dive,height,j1,j2\n626C,3,8,8\n", ["line 2, height: 3, and 626C is an armstand"]),
        (
            b"diver,dive,height,difficulty,j1,j2\nA,107B,3,3,8,8\nB,1057B,3,,8,8\nC,107B,x,,8,8\n",
            ["line 2, difficulty: 3, but 107B", "line 3, dive: '1057B'", "line 4, height: 'x'"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line_and_column(table: bytes, texts: list[str]) -> None:
    with pytest.raises(InvalidTable) as caught:
        judge_table("diving", table)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        assert text in line


CELLS = st.sampled_from(["8", "8.5", "8,5", "", " ", "x", "nan", "107B", "3", "-1", '"', "\0", "é"])


@given(
    st.lists(st.sampled_from(["diver", "dive", "height", "difficulty", "j1", "j2", "j3", "x", ""])),
    st.lists(st.lists(CELLS, max_size=8), max_size=5),
    st.sampled_from([",", ";", "\t"]),
)
def test_every_table_is_a_meet_or_refused(
    names: list[str], rows: list[list[str]], delimiter: str
) -> None:
    text = "\n".join(delimiter.join(row) for row in [names, *rows])
    with contextlib.suppress(InvalidTable):
        assert judge_table("diving", text.encode()).dives


@given(st.binary(max_size=200))
def test_so_is_every_file(content: bytes) -> None:
    with contextlib.suppress(InvalidTable):
        assert judge_table("diving", content).dives


def test_of_many_problems_the_first_are_listed() -> None:
    table = "difficulty,j1,j2\n" + "2,8,x\n" * 25
    with pytest.raises(InvalidTable) as caught:
        judge_table("diving", table.encode())
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("line 2, j2")
    assert lines[9].startswith("line 11, j2")
    assert lines[10:] == ["and 15 more"]
