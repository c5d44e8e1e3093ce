"""annotations.csv: what is read, and one clear error for each thing that can be wrong."""

from fractions import Fraction

import pytest

from training.datasets.annotations import read_annotations
from training.datasets.stage_starts import StageStarts
from training.errors import DataError

HEADER = "clip,split,score,difficulty,execution,marks,stage_starts,deduction_entry,judge\n"
GOOD = "clips/0.mp4,train,78.5,3.2,,7.5 8,0 31 42,2.5,Ann\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ("0", "1", "2"):
        (tmp_path / "clips" / f"{name}.mp4").write_bytes(b"video")
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks" / "0.npz").write_bytes(b"")
    return tmp_path


def write(folder, text):
    (folder / "annotations.csv").write_text(text)


def test_rows_become_judged_clips(folder):
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


def test_a_byte_order_mark_and_windows_lines_are_read(folder):
    (folder / "annotations.csv").write_bytes(
        b"\xef\xbb\xbfclip,split,score\r\nclips/0.mp4,train,5\r\n"
    )
    assert read_annotations(folder)[0].score == 5


@pytest.mark.parametrize(
    ("text", "told"),
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
        ("clip,split,score\nclips/0.mp4,train\n", "need 3 fields"),
        ("clip,split,score\nclips/0.mp4,train,5,6\n", "need 3 fields"),
        ("clip,split,score,difficulty\nclips/0.mp4,train,5,-2\n", "difficulty is -2"),
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
def test_what_is_wrong_is_said_once(folder, text, told):
    write(folder, text)
    with pytest.raises(DataError, match=told):
        read_annotations(folder)


def test_a_clip_may_be_a_folder_of_frames(folder):
    (folder / "frames").mkdir()
    for number in (9, 10, 11):
        (folder / "frames" / f"img_{number}.jpg").write_bytes(b"")
    write(folder, "clip,split,score,fps\nframes,train,5,30000/1001\nclips/1.mp4,test,6,\n")
    frames, video = read_annotations(folder)
    assert [path.stem for path in frames.source.paths] == ["img_9", "img_10", "img_11"]
    assert frames.source.fps == Fraction(30000, 1001)
    assert video.source == folder / "clips" / "1.mp4"


def test_a_missing_file_and_an_empty_split_are_told(folder):
    with pytest.raises(DataError, match="is missing"):
        read_annotations(folder)
    write(folder, HEADER + GOOD)
    with pytest.raises(DataError, match="no clip of the split 'test'"):
        read_annotations(folder, "test")


def test_binary_rubbish_is_told(folder):
    (folder / "annotations.csv").write_bytes(b"\xff\xfe\x00rubbish")
    with pytest.raises(DataError, match="as text"):
        read_annotations(folder)
