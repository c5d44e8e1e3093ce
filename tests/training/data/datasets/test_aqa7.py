"""AQA-7: rows of one action, clips from 1, and what is wrong with the lists."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from model_store.spec import SPECS
from tests.training.data.datasets.layouts import CLIPS, write_aqa7
from training.choices import Kind
from training.data.datasets.aqa7 import FPS, reader
from training.errors import DataError

read = reader("gym_vault")


@pytest.fixture
def folder(published: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(published("aqa-7-vault"), tmp_path / "aqa")


@pytest.mark.parametrize(
    ("rows", "message"),
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
def test_what_is_wrong_is_said(folder: Path, rows: list[list[float]], message: str) -> None:
    path = folder / "Split_4" / "split_4_train_list.mat"
    savemat(path, {"consolidated_train_list": np.array(rows, float)})
    with pytest.raises(DataError, match=message):
        read(folder)


def rewrite(folder: Path, change: Callable[..., Any]) -> None:
    for split in ("train", "test"):
        path, key = folder / "Split_4" / f"split_4_{split}_list.mat", f"consolidated_{split}_list"
        rows = loadmat(path)[key]
        rows[:, 2] = change(rows[:, 0], rows[:, 2])
        savemat(path, {key: rows})


PUBLISHED = {  # least and most points: label_ranges of github.com/yuxumin/CoRe, utils/misc.py
    "diving": (21.6, 102.6),
    "gym_vault": (12.3, 16.87),
    "ski_big_air": (8.0, 50.0),
    "snowboard_big_air": (8.0, 50.0),
    "sync_diving_3m": (46.2, 104.88),
    "sync_diving_10m": (49.8, 99.36),
}


@pytest.mark.parametrize("unit", [1, 100])
@pytest.mark.parametrize("number", range(1, 7))
def test_points_and_hundredths(tmp_path: Path, number: int, unit: int) -> None:
    """As Split_4 has them, and as the lists of the authors' code, which divides them by 100."""
    action, (least, most) = list(PUBLISHED.items())[number - 1]
    write_aqa7(tmp_path, action, number)
    scores = np.linspace(least, most, CLIPS // 4)
    rewrite(tmp_path, lambda actions, rows: unit * np.resize(scores, len(rows)))
    read_scores = {clip.score for clip in reader(action)(tmp_path)}
    assert (min(read_scores), max(read_scores)) == pytest.approx((least, most))


def test_a_failed_attempt_is_0_in_either_form(folder: Path) -> None:
    rewrite(folder, lambda actions, rows: np.where(rows == rows.max(), 0.0, 1500.0))
    assert {clip.score for clip in read(folder)} == {0.0, 15.0}


def test_a_list_in_both_forms_is_refused(folder: Path) -> None:
    rewrite(folder, lambda actions, rows: np.where(rows == rows.max(), 15.0, 1500.0))
    with pytest.raises(DataError, match=r"list.mat: scores of gym_vault from 15 to 1500, need all"):
        read(folder)


def test_another_action_decides_nothing(folder: Path) -> None:
    rewrite(folder, lambda actions, rows: np.where(actions == 2, rows, 4000.0))
    assert min(clip.score for clip in read(folder)) > 10


def test_the_folder_of_actions_may_be_left_out(folder: Path) -> None:
    (folder / "Actions" / "gym_vault-out").rename(folder / "gym_vault-out")
    assert {clip.path.parent.name for clip in read(folder)} == {"gym_vault-out"}
    shutil.rmtree(folder / "gym_vault-out")
    with pytest.raises(DataError, match="lacks the clips of gym_vault: need Actions/gym_vault-out"):
        read(folder)


def test_frames_that_are_no_frames(folder: Path) -> None:
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


def test_every_kind_has_an_action_at_the_rate_of_its_frames() -> None:
    kinds = [kind for kind in Kind if kind.startswith("aqa-7-")]
    assert {SPECS[kind].fps for kind in kinds} == {FPS}
    assert len(kinds) == 6
