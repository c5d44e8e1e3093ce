"""AQA-7: rows of one action, clips from 1, and what is wrong with the lists."""

import shutil

import numpy as np
import pytest
from scipy.io import savemat

from model_store.spec import SPECS
from training.datasets.aqa7 import FPS, reader
from training.datasets.kinds import Kind
from training.errors import DataError

read = reader("gym_vault")


@pytest.fixture
def folder(published, tmp_path):
    return shutil.copytree(published("aqa-7-vault"), tmp_path / "aqa")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([[2, 2, np.nan]], "split_4_train_list.mat, row 1: score is nan"),
        ([[2, 2, 9.0], [2, 3, -9.0]], "row 2: score is -9"),
        ([[7, 1, 9.0]], "row 1: action is 7, need 1…6"),
        ([[2, 0, 9.0]], "row 1: clip is 0, need 1 or more"),
        ([[2, 2, 9.0], [2, 2, 9.0]], "row 2: gym_vault 2 again"),
        ([[2, 1, 9.0]], "test_list.mat, row 2: gym_vault 1 again"),  # it is a test clip
        ([[2, 99, 9.0]], "099 is missing"),
        ([[2, 2]], "need 3 columns"),
    ],
)
def test_what_is_wrong_is_said(folder, rows, told):
    path = folder / "Split_4" / "split_4_train_list.mat"
    savemat(path, {"consolidated_train_list": np.array(rows, float)})
    with pytest.raises(DataError, match=told):
        read(folder)


def test_the_folder_of_actions_may_be_left_out(folder):
    (folder / "Actions" / "gym_vault-out").rename(folder / "gym_vault-out")
    assert {clip.path.parent.name for clip in read(folder)} == {"gym_vault-out"}
    shutil.rmtree(folder / "gym_vault-out")
    with pytest.raises(DataError, match="lacks the clips of gym_vault: need Actions/gym_vault-out"):
        read(folder)


def test_frames_that_are_no_frames(folder):
    place = folder / "Actions" / "gym_vault-out" / "002"
    (place / "title.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"title.jpg: frames need a number"):
        read(folder)
    (place / "title.jpg").rename(place / "1.jpg")
    with pytest.raises(DataError, match="the same number"):
        read(folder)
    for path in place.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="002 has no JPEG frames"):
        read(folder)


def test_every_kind_has_an_action_at_the_rate_of_its_frames():
    kinds = [kind for kind in Kind if kind.startswith("aqa-7-")]
    assert {SPECS[kind].fps for kind in kinds} == {FPS}
    assert len(kinds) == 6
