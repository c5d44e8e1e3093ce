"""One clip or one group in two places: each way there is, and none of them silent."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.data.datasets.annotations import read_annotations
from training.data.datasets.leaks import check_apart, check_leaks
from training.errors import DataError


def folder_of(place: Path, *rows: str, header: str = "clip,split,score") -> Path:
    """Clips a.mp4, b.mp4, … with different bytes, and the table."""
    place.mkdir(exist_ok=True)
    for name in "abcdef":
        (place / f"{name}.mp4").write_bytes(name.encode())
    (place / "annotations.csv").write_text("\n".join((header, *rows)) + "\n")
    return place


def copy(one: Path, other: Path) -> None:
    shutil.copy(one, other)


WAYS: dict[str, Callable[[Path, Path], None]] = {"copy": copy, "hard link": os.link}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_bytes_for_training_and_for_testing(tmp_path: Path, way: str) -> None:
    folder = folder_of(tmp_path, "a.mp4,train,70", "same.mp4,test,70", "b.mp4,test,60")
    WAYS[way](folder / "a.mp4", folder / "same.mp4")
    with pytest.raises(
        DataError,
        match=r"1 clips are for training and for testing, the same bytes: \S*a.mp4 = \S*same",
    ):
        check_leaks(read_annotations(folder))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_same_bytes_with_two_scores(tmp_path: Path, way: str, split: str) -> None:
    folder = folder_of(tmp_path, f"a.mp4,{split},70", f"same.mp4,{split},30", "b.mp4,test,60")
    WAYS[way](folder / "a.mp4", folder / "same.mp4")
    with pytest.raises(
        DataError, match=r"1 clips have more than one score, the same bytes: \S*a.mp4 = \S*same"
    ):
        check_leaks(read_annotations(folder))


def test_the_same_bytes_with_the_same_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "a.mp4,train,70", "same.mp4,train,70", "b.mp4,test,60")
    shutil.copy(folder / "a.mp4", folder / "same.mp4")
    check_leaks(read_annotations(folder))
    assert "warning: 1 clips are there more than once" in capsys.readouterr().err


def test_over_several_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder_of(tmp_path / "one", "a.mp4,train,70", "b.mp4,train,60")
    other = folder_of(tmp_path / "other", "c.mp4,train,70", "b.mp4,test,60")
    link = tmp_path / "link"
    link.symlink_to(one)
    clips = read_annotations(one)
    check_leaks(clips)
    assert not capsys.readouterr().err
    with pytest.raises(DataError, match=r"one.b.mp4 = \S*other.b.mp4"):
        check_leaks(clips + read_annotations(other))
    for again in (one, link, one / ".." / "one"):
        check_leaks(clips + read_annotations(again))
        assert "2 clips are there more than once" in capsys.readouterr().err


def test_many_are_counted_and_a_few_named(tmp_path: Path) -> None:
    rows = [f"{name}.mp4,train,1" for name in "abcdef"]
    one = read_annotations(folder_of(tmp_path / "one", *rows))
    other = read_annotations(
        folder_of(tmp_path / "other", *(row.replace("train", "test") for row in rows))
    )
    with pytest.raises(DataError, match="6 clips are") as caught:
        check_leaks(one + other)
    assert str(caught.value).count(" = ") == 3
    assert str(caught.value).endswith(", …")


def test_a_group_on_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ("a.mp4,train,70,Ann", "b.mp4,test,60,Ann", "c.mp4,train,70,Bo", "d.mp4,test,60,")
    folder = folder_of(tmp_path, *rows, header="clip,split,score,group")
    check_leaks(read_annotations(folder))
    warning = capsys.readouterr().err
    assert warning == "warning: 1 groups have clips for training and for testing: Ann\n"
    check_leaks(read_annotations(folder, "train"))
    assert not capsys.readouterr().err


def test_clips_that_must_be_apart(tmp_path: Path) -> None:
    rows = ("a.mp4,train,70", "b.mp4,train,60", "c.mp4,test,50")
    folder = folder_of(tmp_path, *rows)
    train, test = (read_annotations(folder, split) for split in ("train", "test"))
    check_apart(train, test, "both")
    with pytest.raises(DataError, match=r"1 clips are both: \S*b.mp4"):
        check_apart(train, [*test, train[1]], "both")
