"""annotations.csv: what is read, and one clear error for each thing that can be wrong."""

import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest

from model_store.video.frame_files import FrameFiles
from training.data.datasets.annotations import read_annotations
from training.data.datasets.stage_starts import StageStarts
from training.errors import DataError

HEADER = "clip,split,score,difficulty,execution,marks,stage_starts,deduction_entry,judge\n"
GOOD = "clips/0.mp4,train,78.5,3.2,,7.5 8,0 31 42,2.5,Ann\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for name in ("0", "1", "2"):
        (tmp_path / "clips" / f"{name}.mp4").write_bytes(b"video")
    (tmp_path / "clips" / "empty.mp4").touch()
    (tmp_path / "clips" / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks" / "0.npz").write_bytes(b"")
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "annotations.csv").write_text(text)


def test_rows_become_judged_clips(folder: Path) -> None:
    write(folder, HEADER + GOOD + "clips/1.mp4,test,80,,25,,,0,\n")
    first, second = read_annotations(folder)
    assert (first.score, first.difficulty, first.execution) == (78.5, 3.2, None)
    assert first.stage_starts == StageStarts((0, 31, 42))
    assert first.deductions == {"entry": 2.5}
    assert first.columns["judge"] == "Ann"
    assert first.tracks == folder / "tracks" / "0.npz"
    assert (second.split, second.difficulty, second.execution) == ("test", None, 25.0)
    assert (first.marks, second.marks) == ((7.5, 8.0), ())
    assert second.stage_starts is None
    assert second.tracks is None
    assert read_annotations(folder, "test") == [second]


def test_a_byte_order_mark_and_windows_lines_are_read(folder: Path) -> None:
    (folder / "annotations.csv").write_bytes(
        b"\xef\xbb\xbfclip,split,score\r\nclips/0.mp4,train,5\r\n"
    )
    assert read_annotations(folder)[0].score == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks"),
        ("clip,split,points\nclips/0.mp4,train,5\n", r"lacks \['score'\]"),
        ("clip,split,score,score\nclips/0.mp4,train,5,6\n", "twice"),
        ("clip,split,score\n", "names no clips"),
        ("clip,split,score\nclips/9.mp4,train,5\n", r"line 2.*clips/9.mp4.*not a file"),
        ("clip,split,score\n,train,5\n", "line 2.*not a file"),
        ("clip,split,score\nclips,train,5\n", "not a file.* folder of frames needs the column fps"),
        ("clip,split,score,fps\nclips,train,5,\n", "needs the column fps"),
        ("clip,split,score,fps\nclips,train,5,fast\n", "fps is 'fast'"),
        ("clip,split,score,fps\nclips,train,5,0\n", "fps is 0, need more"),
        ("clip,split,score,fps\nclips,train,5,25\n", "clips has no JPEG frames"),
        ("clip,split,score,marks\nclips/0.mp4,train,5,7.5 x\n", "marks is 'x'"),
        ("clip,split,score\nclips/0.mp4,train,5\nclips/0.mp4,test,5\n", "line 3.*first in line 2"),
        ("clip,split,score\nclips/0.mp4,train,nan\n", "line 2: score is nan"),
        ("clip,split,score\nclips/0.mp4,train,inf\n", "score is inf"),
        ("clip,split,score\nclips/0.mp4,train,-1\n", "score is -1"),
        ("clip,split,score\nclips/0.mp4,train,\n", "need a number"),
        ("clip,split,score\nclips/0.mp4,train,good\n", "score is 'good'"),
        ("clip,split,score\nclips/0.mp4,valid,5\n", "split is 'valid'"),
        ("clip,split,score\nclips/0.mp4,train\n", "line 2: 2 fields, need 3 fields"),
        ("clip,split,score\nclips/0.mp4,train,71,40\n", "'40' belongs to no column, need 3 fields"),
        ("clip,split,score,,\nclips/0.mp4,train,71,40,\n", "'40' belongs to no column"),
        ("clip,split,score\nclips/0.mp4,train,5,6\n", "need 3 fields"),
        ("clip,split,score,difficulty\nclips/0.mp4,train,5,-2\n", "difficulty is -2"),
        ("clip,split,score,difficulty\nclips/0.mp4,train,5,0\n", "line 2: difficulty is 0"),
        ("clip,split,score\nclips/0.mp4,train,1_0\n", "score is '1_0', need a number"),
        ("clip,split,score\nclips/0.mp4,train,٧٠\n", "score is '٧٠', need a number"),
        ("clip,split,score\nclips/0.mp4,train,71.40%\n", "score is '71.40%', need a number"),
        ("clip,split,score\nclips/empty.mp4,train,5\n", "line 2: .*empty.mp4' has 0 bytes"),
        ("clip,split,score\nclips/gone.mp4,train,5\n", "link to a missing file"),
        ("clip,split,score\n" + 300 * "x" + ",train,5\n", "line 2: clip 'x.*not a file"),
        ("clip,split,score\nclips/ü.mp4,train,5\n", "save the table as UTF-8"),
        (
            "clip,split,score,stage_starts\nclips/0.mp4,train,5,0 x\n",
            "'0 x', need frames",
        ),
        ("clip,split,score,stage_starts\nclips/0.mp4,train,5,0 1.03s\n", "or all in seconds"),
        (
            "clip,split,score,stage_starts\nclips/0.mp4,train,5,5 2\n",
            "'5 2', need them in order",
        ),
        ("clip,split,score,deduction_entry\nclips/0.mp4,train,5,?\n", "deduction_entry"),
    ],
)
def test_what_is_wrong_is_said_once(folder: Path, text: str, message: str) -> None:
    write(folder, text)
    with pytest.raises(DataError, match=message):
        read_annotations(folder)


def test_a_clip_may_be_a_folder_of_frames(folder: Path) -> None:
    (folder / "frames").mkdir()
    for number in (9, 10, 11):
        (folder / "frames" / f"img_{number}.jpg").write_bytes(b"")
    write(folder, "clip,split,score,fps\nframes,train,5,30000/1001\nclips/1.mp4,test,6,\n")
    frames, video = read_annotations(folder)
    assert isinstance(frames.source, FrameFiles)
    assert [path.stem for path in frames.source.paths] == ["img_9", "img_10", "img_11"]
    assert frames.source.fps == Fraction(30000, 1001)
    assert video.source == folder / "clips" / "1.mp4"


def test_a_missing_file_and_an_empty_split_are_told(folder: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        read_annotations(folder)
    write(folder, HEADER + GOOD)
    with pytest.raises(DataError, match="no clip of the split 'test'"):
        read_annotations(folder, "test")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00rubbish!",
        b"PK\x03\x04\x14\x00",
        "clip,split,score\n".encode("utf-16-le"),
        b"\x81",
    ],
)
def test_binary_rubbish_is_told(folder: Path, content: bytes) -> None:
    (folder / "annotations.csv").write_bytes(content)
    with pytest.raises(DataError, match="as text"):
        read_annotations(folder)


PLAIN = "clip,split,score,difficulty\nclips/0.mp4,train,71.40,2.8\nclips/1.mp4,test,62.00,3.0\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".40", ",40").replace(".00", ",00").replace("2.8", "2,8"),
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        "SEP=,\n" + PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace("71.40", '"71,40"'),
        PLAIN.replace("clips/", "clips\\"),
        PLAIN.replace(",", ", "),
        '"' + PLAIN.strip().replace(",", '", "').replace("\n", '"\n"') + '"\n',
        PLAIN.replace("clip,split,score", "Clip,SPLIT,Score").replace("train", "Train"),
        "\n,,,\n" + PLAIN + ",,,\n ,,,\n",
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("difficulty\n", "difficulty,marks,group\n"),  # Excel leaves out empty cells
    ],
)
def test_what_spreadsheets_write_is_read(folder: Path, text: str) -> None:
    write(folder, PLAIN)
    plain = read_annotations(folder)
    (folder / "annotations.csv").write_bytes(text.encode())
    read = read_annotations(folder)
    for one, other in zip(plain, read, strict=True):
        assert (one.path, one.split, one.score) == (other.path, other.split, other.score)
        assert (one.difficulty, one.columns["clip"]) == (other.difficulty, other.columns["clip"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_spreadsheets(folder: Path, encoding: str) -> None:
    (folder / "clips" / "kür.mp4").write_bytes(b"video")
    text = "clip,split,score,group\nclips/kür.mp4,train,5,Zoë\n"
    (folder / "annotations.csv").write_bytes(text.encode(encoding))
    [clip] = read_annotations(folder)
    assert (clip.path.name, clip.group) == ("kür.mp4", "Zoë")


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_names_in_another_unicode_form(
    folder: Path, stored: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    place = folder / unicodedata.normalize(stored, "Läufe")
    place.mkdir()
    (place / unicodedata.normalize("NFD", "Östlund.mp4")).write_bytes(b"video")
    name = unicodedata.normalize(written, "Läufe\\Östlund.mp4")
    write(folder, f"clip,split,score,group\n{name},train,5,{name}\n")
    [clip] = read_annotations(folder)
    assert clip.path.read_bytes() == b"video"
    assert clip.group == unicodedata.normalize("NFC", name)


def test_a_name_that_could_be_two_files_is_refused(folder: Path) -> None:
    for form in ("e\u0323\u0302", "\u1eb9\u0302"):  # both are ệ
        (folder / "clips" / f"{form}.mp4").write_bytes(b"video")
    write(folder, "clip,split,score\nclips/\u1ec7.mp4,train,5\n")
    with pytest.raises(DataError, match="not a file"):
        read_annotations(folder)


@pytest.mark.parametrize("mark", ["\n", "\r\n", "\u2028", "\x0b", "\x0c", "\x1c", "\x85"])
def test_a_line_break_in_a_cell_ends_no_row(folder: Path, mark: str) -> None:
    text = f'clip,split,score,comment\nclips/0.mp4,train,5,"good{mark}entry"\nclips/1.mp4,test,x,\n'
    (folder / "annotations.csv").write_bytes(text.encode())
    line = 4 if "\n" in mark else 3  # where an editor shows the row
    with pytest.raises(DataError, match=f"line {line}: score is 'x'"):
        read_annotations(folder)
    (folder / "annotations.csv").write_bytes(text.replace("x,", "6,").encode())
    assert read_annotations(folder)[0].columns["comment"] == f"good{mark}entry"


@pytest.mark.parametrize("rows", [2, 9000])
@pytest.mark.parametrize("end", ["", 'clips/2.mp4,train,5,"1 m board\n'])
def test_an_open_quotation_mark_is_found_where_it_is(folder: Path, rows: int, end: str) -> None:
    write(
        folder,
        'clip,split,score,comment\nclips/0.mp4,train,5,ok\nclips/1.mp4,train,6,"3 m board\n'
        + rows * "clips/2.mp4,train,7,ok\n"
        + end,
    )
    with pytest.raises(DataError, match=r"line 3: .* quotation mark"):
        read_annotations(folder)


@pytest.mark.parametrize("again", ["clips/../clips/0.mp4", "clips\\0.mp4", "link.mp4"])
def test_a_file_under_two_names_is_told(folder: Path, again: str) -> None:
    (folder / "link.mp4").symlink_to("clips/0.mp4")
    write(folder, f"clip,split,score\nclips/0.mp4,train,5\n{again},test,5\n")
    with pytest.raises(DataError, match=r"line 3: .* again, first in line 2"):
        read_annotations(folder)


def test_groups(folder: Path) -> None:
    write(folder, "clip,split,score,Group\nclips/0.mp4,train,5,Ann\nclips/1.mp4,test,5,\n")
    assert [clip.group for clip in read_annotations(folder)] == ["Ann", None]
