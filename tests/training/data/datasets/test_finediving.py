"""FineDiving: both forms of its annotations, and what is wrong with them."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.datasets.layouts import difficulty_of, score_of
from training.data.datasets.finediving import read_finediving
from training.errors import DataError


@pytest.fixture
def folder(published: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(published("finediving"), tmp_path / "finediving")


def test_annotations_as_lists(folder: Path) -> None:
    place = folder / "Annotations"
    coarse = place / "FineDiving_coarse_annotation.pkl"
    named = pickle.loads(coarse.read_bytes())
    lists = {
        key: [row["action_type"], row["dive_score"], row["difficulty"], {}, np.zeros(3)]
        for key, row in named.items()
    }
    coarse.unlink()
    (place / "fine-grained_annotation_aqa.pkl").write_bytes(pickle.dumps(lists))
    [clip] = [
        clip for clip in read_finediving(folder) if clip.columns["clip"] == "Event1_final_r3/3"
    ]
    assert (clip.score, clip.difficulty) == (score_of(3), difficulty_of(3))
    assert clip.marks == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"dive_score": np.nan, "difficulty": 3.0}, r"\('Event1_final_r3', 3\): dive_score is nan"),
        ({"dive_score": -4, "difficulty": 3.0}, "dive_score is -4"),
        ({"dive_score": 80.0}, "need dive_score and difficulty"),
        (["5253B", 80.0], "need dive_score and difficulty"),
        (["5253B", 80.0, 0.0], "difficulty is 0"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, row: dict[str, float] | list[str | float], message: str
) -> None:
    path = folder / "Annotations" / "FineDiving_coarse_annotation.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | {("Event1_final_r3", 3): row}))
    with pytest.raises(DataError, match=message):
        read_finediving(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "FINADiving_MTL_256s" / "Event1_final_r3" / "3")
    with pytest.raises(DataError, match=r"Event1_final_r3.3 is missing, need 3.avi or a folder"):
        read_finediving(folder)
    path = folder / "Annotations" / "FineDiving_coarse_annotation.pkl"
    path.write_bytes(pickle.dumps({("Event9", 1): {}}))
    with pytest.raises(DataError, match="is missing"):
        read_finediving(folder)
    (folder / "Annotations" / "train_split.pkl").unlink()
    with pytest.raises(DataError, match="lacks the split"):
        read_finediving(folder)
    path.unlink()
    with pytest.raises(DataError, match="lacks the annotations"):
        read_finediving(folder)
