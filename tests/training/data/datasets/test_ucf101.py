"""UCF-101: official lists, labels from 0, and what is wrong with the lists."""

import shutil
from pathlib import Path

import pytest

from tests.training.data.datasets.layouts import write_ucf101
from training.data.datasets.ucf101 import read_ucf101
from training.errors import DataError


@pytest.fixture(scope="module")
def published_ucf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ucf")
    write_ucf101(folder)
    return folder


@pytest.fixture
def folder(published_ucf: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published_ucf, tmp_path / "ucf")


def test_lists_and_labels(folder: Path) -> None:
    found = read_ucf101(folder)
    assert found.classes == ("ApplyEyeMakeup", "YoYo")
    assert len(found.clips) == 16
    test = read_ucf101(folder, "test").clips
    assert [clip.label for clip in test] == [0, 0, 1, 1]
    assert {clip.group for clip in test} == {"ApplyEyeMakeup_g01", "YoYo_g01"}
    train = read_ucf101(folder, "train").clips
    assert [clip.path.parent.name for clip in train if clip.label == 1] == ["YoYo"] * 6


def test_videos_in_their_own_folder(folder: Path) -> None:
    (folder / "UCF-101").mkdir()
    for kind in ("ApplyEyeMakeup", "YoYo"):
        (folder / kind).rename(folder / "UCF-101" / kind)
    assert read_ucf101(folder).clips[0].path.is_relative_to(folder / "UCF-101")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("classInd.txt", "2 YoYo\n", "line 1: '2 YoYo', need '1 NAME'"),
        ("classInd.txt", "", "classInd.txt is empty"),
        ("trainlist01.txt", "YoYo/v_YoYo_g02_c01.avi 1\n", "line 1: .* of no class"),
        ("trainlist01.txt", "Yo/v_YoYo_g02_c01.avi 2\n", "of no class"),
        ("trainlist01.txt", "YoYo/v_YoYo_g99_c01.avi 2\n", "g99_c01.avi is missing"),
        ("trainlist01.txt", 2 * "YoYo/v_YoYo_g02_c01.avi 2\n", "line 2: .* again"),
        ("trainlist01.txt", "YoYo/v_YoYo_g01_c01.avi 2\n", "testlist01.txt, line 3: .* again"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, file: str, text: str, message: str) -> None:
    (folder / "ucfTrainTestlist" / file).write_text(text)
    with pytest.raises(DataError, match=message):
        read_ucf101(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "ApplyEyeMakeup")
    with pytest.raises(DataError, match="lacks the videos"):
        read_ucf101(folder)
    shutil.rmtree(folder / "ucfTrainTestlist")
    with pytest.raises(DataError, match=r"classInd.txt is missing"):
        read_ucf101(folder)
