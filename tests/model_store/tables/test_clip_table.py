"""A table of clips as somebody's spreadsheet saved it."""

from pathlib import Path

import pytest

from model_store.errors import InvalidFile
from model_store.tables.clip_table import ClipRequest, read_clip_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"a video")
    return tmp_path


def read(
    folder: Path, content: str | bytes, action: str = "diving", **options: bool
) -> ClipRequest:
    table = folder / "meet.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    [request] = read_clip_table(table, action, **options)
    return request


@pytest.mark.parametrize(
    "content",
    [
        b"clip,difficulty,score,start_s\nclips/a.mp4,3.1,71.405,0.5\n",
        b'clip,difficulty,score,start_s\nclips/a.mp4,"3,1","71,405","0,5"\n',
        b"sep=;\r\nClip;Difficulty;SCORE;start_s\r\nclips\\a.mp4;3,1;71,405;0,5\r\n",
        b"\xef\xbb\xbfclip\tdifficulty\tscore\tstart_s\nclips/a.mp4\t3,1\t71,405\t0,5\n",
        "clip;difficulty;score;start_s;name\nclips/a.mp4;3,1;71,405;0,5;Müller\n".encode("cp1252"),
        "clip;difficulty;score;start_s\nclips/a.mp4;3,1;71,405;0,5\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_a_table_is_read_as_a_spreadsheet_saved_it(folder: Path, content: bytes) -> None:
    request = read(folder, content)
    assert request.problem is None
    assert request.path == folder / "clips" / "a.mp4"
    assert (request.difficulty, request.judged, request.start_s) == (3.1, 71.405, 0.5)
    assert request.end_s is None


def test_a_dive_has_its_difficulty_and_marks_have_their_total(folder: Path) -> None:
    request = read(folder, "clip;dive;height;marks\nclips/a.mp4;107b;3;8,5 8 8\n")
    assert request.dive is not None
    assert request.dive.number == "107B"
    assert request.difficulty == 3.1
    assert request.judged == round(24.5 * 3.1, 3)


def test_the_score_counts_before_the_marks(folder: Path) -> None:
    head = "clip,difficulty,score,marks\nclips/a.mp4"
    assert read(folder, f"{head},3,70,8 8 8\n").judged == 70
    assert read(folder, f"{head},3,70,8 8 88\n").problem is None
    assert read(folder, f"{head},,,8 8 8\n").judged is None  # the total needs the difficulty
    vault = "clip,difficulty,marks,deductions\nclips/a.mp4,5.8,9 9.1 9.2 9.1 8.9,0.1\n"
    assert read(folder, vault, "vault").judged == pytest.approx(14.767)
    assert read(folder, f"{head},3,,8 8 8\n", "trampoline").judged is None  # there are no rules


@pytest.mark.parametrize(
    ("columns", "cells", "problem"),
    [
        ("difficulty", "x", "difficulty is 'x', need a number"),
        ("difficulty", "0", "difficulty: 0, need 1 to 5"),
        ("difficulty", "9", "difficulty: 9, need 1 to 5"),
        ("difficulty", "-3", "need a finite number of at least 0"),
        ("difficulty", "nan", "need a finite number"),
        ("dive", "107B", "height: missing"),
        ("height", "3", "dive: missing"),
        ("dive,height", "999Z,3", "dive: "),
        ("dive,height", "107B,4", "height: "),
        ("dive,height,difficulty", "107B,3,3.0", "difficulty: 3"),
        ("start_s", "late", "start_s is 'late'"),
        ("end_s", "-1", "end_s is -1"),
        ("score", "71.4 points", "score is '71.4 points'"),
        ("difficulty,marks", "3,8 8 88", "marks: "),
        ("difficulty,marks", "3,good", "not a number"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(
    folder: Path, columns: str, cells: str, problem: str
) -> None:
    request = read(folder, f"clip,{columns}\nclips/a.mp4,{cells}\n")
    assert request.problem is not None
    assert request.problem.startswith("line 2: ")
    assert problem in request.problem
    assert "line 2: :" not in request.problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("b.mp4", "is not a file below"),
        ("", "is not a file below"),
        ("clips", "is a folder"),
        ("a\0.mp4", None),
    ],
)
def test_a_clip_that_is_not_there(folder: Path, name: str, problem: str | None) -> None:
    table = f"clip,score\n{name},70\n"
    if problem is None:
        with pytest.raises(InvalidFile, match="zero bytes"):
            read(folder, table)
    else:
        assert problem in str(read(folder, table).problem)


def test_what_the_checkpoint_cannot_do_without(folder: Path) -> None:
    request = read(folder, "clip\nclips/a.mp4\n", needs_difficulty=True)
    assert "difficulty is missing" in str(request.problem)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks"),
        ("clip,score\n", "names no clips"),
        ("file,score\na.mp4,3\n", r"lacks \['clip'\]"),
        ("clip,score,Score\na.mp4,3,3\n", "twice"),
        ("clip,score\na.mp4,3,4\n", "belongs to no column"),
        ('clip,score\n"a.mp4,3\n', "quotation mark"),
    ],
)
def test_a_table_that_cannot_be_read(folder: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        read(folder, content)
