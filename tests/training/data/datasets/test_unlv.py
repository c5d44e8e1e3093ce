"""UNLV-Dive and UNLV-Vault: one clear error for each thing that can be wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.training.data.datasets.layouts import (
    CLIPS,
    difficulty_of,
    numbers_for_testing,
    score_of,
    write_frames,
)
from training.data.datasets.unlv import read_unlv_dive, read_unlv_vault
from training.errors import DataError


@pytest.fixture
def dive(published: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(published("unlv-dive"), tmp_path / "dive")


def replace(folder: Path, **matrices: object) -> None:
    files = {
        "overall_scores": "diving_overall_scores.mat",
        "difficulty_level": "diving_difficulty_level.mat",
        "training_idx": "split_300_70/training_idx.mat",
        "testing_idx": "split_300_70/testing_idx.mat",
    }
    for key, values in matrices.items():
        savemat(folder / files[key], {key: np.array(values)})


def test_indices_count_from_one(dive: Path) -> None:
    """By hand: index 1 is the first score and 001.avi, index 12 the last."""
    by_name = {clip.path.name: clip for clip in read_unlv_dive(dive)}
    assert by_name["001.avi"].score == score_of(1)
    assert by_name["012.avi"].score == score_of(12)
    assert by_name["001.avi"].split == "test"
    tests = {name for name, clip in by_name.items() if clip.split == "test"}
    assert tests == {f"{n:03d}.avi" for n in numbers_for_testing(CLIPS)}


def test_an_index_from_zero_is_refused(dive: Path) -> None:
    replace(dive, training_idx=[[n - 1 for n in range(1, CLIPS + 1)]])
    with pytest.raises(DataError, match=r"training_idx.mat: 0 among the indices, need 1…12"):
        read_unlv_dive(dive)


SCORES = [score_of(n) for n in range(1, CLIPS + 1)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overall_scores": [[*SCORES[:-1], np.nan]]}, "overall_scores.mat: clip 12 is nan"),
        ({"overall_scores": [[np.inf, *SCORES[1:]]]}, "clip 1 is inf"),
        ({"overall_scores": [[-1.0, *SCORES[1:]]]}, "clip 1 is -1"),
        ({"overall_scores": [[1.0, 2.0], [3.0, 4.0]]}, r"\(2, 2\), need 1×N"),
        ({"overall_scores": [["good"]]}, "need numbers"),
        ({"overall_scores": [SCORES[:-1]]}, "among the indices, need 1…11"),
        ({"overall_scores": [[*SCORES, 5.0]]}, "9 clips for training and 3 .* 13 scores"),
        ({"difficulty_level": [[3.0, 3.2]]}, "difficulty_level.mat: 2 values, need 12"),
        ({"difficulty_level": [[0.0] * CLIPS]}, "is 0, need more"),
        ({"testing_idx": [[1, 5, 5]]}, r"testing_idx.mat: \[5\] more than once"),
        ({"testing_idx": [[1, 2, 5]]}, r"split_300_70: clips \[2\] are for training and for test"),
        ({"testing_idx": [[1, 5]]}, "9 clips for training and 2 for testing, .* 12 scores"),
        ({"testing_idx": [[1.5, 5, 9]]}, "1.5 among the indices"),
    ],
)
def test_what_is_wrong_is_said(dive: Path, changes: dict[str, object], message: str) -> None:
    replace(dive, **changes)
    with pytest.raises(DataError, match=message):
        read_unlv_dive(dive)


def test_what_is_missing_is_named(dive: Path) -> None:
    (dive / "diving_samples_len_ori" / "007.avi").unlink()
    with pytest.raises(DataError, match=r"diving_samples_len_ori.007 is missing, need 007.avi or"):
        read_unlv_dive(dive)
    shutil.rmtree(dive / "diving_samples_len_ori")
    with pytest.raises(DataError, match="need diving_samples_len_ori or diving_samples_len_151"):
        read_unlv_dive(dive)
    (dive / "split_300_70" / "testing_idx.mat").unlink()
    with pytest.raises(DataError, match=r"testing_idx.mat is missing"):
        read_unlv_dive(dive)
    (dive / "diving_overall_scores.mat").write_bytes(b"not a matrix")
    with pytest.raises(DataError, match=r"overall_scores.mat cannot be read as a .mat file"):
        read_unlv_dive(dive)


def test_several_variables_need_the_right_name(dive: Path) -> None:
    savemat(dive / "diving_overall_scores.mat", {"a": [[1.0]], "b": [[2.0]]})
    with pytest.raises(DataError, match=r"has \['a', 'b'\], need a matrix overall_scores"):
        read_unlv_dive(dive)
    savemat(dive / "diving_overall_scores.mat", {"scores": np.array([SCORES])})
    assert len(read_unlv_dive(dive)) == CLIPS


def test_a_clip_in_frames(dive: Path) -> None:
    (dive / "diving_samples_len_ori" / "003.avi").unlink()
    names = [f"{n}.jpg" for n in range(8, 28)]  # "10" comes after "9"
    write_frames(dive / "diving_samples_len_ori" / "003", score_of(3), names)
    [clip] = [clip for clip in read_unlv_dive(dive) if clip.path.name == "003"]
    assert clip.frames is not None
    assert [path.name for path in clip.frames.paths] == names
    assert clip.frames.fps == 30


def test_vault_adds_the_difficulty(published: Callable[[str], Path], tmp_path: Path) -> None:
    assert read_unlv_vault(published("unlv-vault"))[0].difficulty is None
    vault = shutil.copytree(published("unlv-vault"), tmp_path / "vault")
    levels = np.array([[difficulty_of(n) for n in range(1, CLIPS + 1)]])
    savemat(vault / "gym_vault_difficulty_level.mat", {"difficulty_level": levels})
    for clip in read_unlv_vault(vault):
        assert clip.execution is not None
        assert clip.difficulty is not None
        assert clip.execution + clip.difficulty == pytest.approx(clip.score)
