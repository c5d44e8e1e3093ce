"""MTL-AQA: dives are ranges of a broadcast's frames; what does not fit is refused."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.datasets.layouts import FRAMES
from training.data.datasets.mtl_aqa import read_mtl_aqa
from training.errors import DataError


@pytest.fixture
def folder(published: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(published("mtl-aqa"), tmp_path / "mtl")


def change(folder: Path, key: tuple[int, int] = (1, 2), **fields: object) -> None:
    path = folder / "info" / "final_annotations_dict.pkl"
    annotations = pickle.loads(path.read_bytes())
    annotations[key] |= fields
    path.write_bytes(pickle.dumps(annotations))


def test_first_and_last_frame_belong_to_the_dive(folder: Path) -> None:
    [clip] = [clip for clip in read_mtl_aqa(folder) if clip.columns["clip"] == "26/9"]
    assert clip.frames is not None
    names = [path.name for path in clip.frames.paths]
    assert (names[0], names[-1], len(names)) == ("000900.jpg", "000919.jpg", FRAMES)
    assert {path.parent.name for path in clip.frames.paths} == {"26"}
    assert clip.frames.fps == 25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"final_score": np.nan}, r"\(1, 2\): final_score is nan"),
        ({"final_score": -1.0}, "final_score is -1.0"),
        ({"final_score": "good"}, "final_score is 'good', need a number"),
        ({"difficulty": 0}, "difficulty is 0, need more"),
        ({"judge_scores": [7.5, np.inf]}, "judge_scores is inf"),
        ({"start_frame": 200.5}, "start_frame is 200.5, need a whole number"),
        ({"end_frame": 224}, r"\(1, 2\): .*01 has 20 of the frames 200…224"),
        ({"end_frame": 199}, "01 has 0 of the frames 200…199"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, fields: dict[str, Any], message: str) -> None:
    change(folder, **fields)
    with pytest.raises(DataError, match=message):
        read_mtl_aqa(folder)


def test_lists_and_annotations_must_agree(folder: Path) -> None:
    info = folder / "info"
    train = pickle.loads((info / "train_split_0.pkl").read_bytes())
    for keys, message in (
        ([*train, train[0]], "train_split_0.pkl: .* again"),
        ([1, 2], "1, need pairs"),
        ([([], 2)], "need pairs"),
        ({}, "holds a dict, need a list of pairs"),
        ([(7, 7)], r"\(7, 7\): is missing"),
    ):
        (info / "train_split_0.pkl").write_bytes(pickle.dumps(keys))
        with pytest.raises(DataError, match=message):
            read_mtl_aqa(folder)
    (info / "final_annotations_dict.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match="holds a list"):
        read_mtl_aqa(folder)
    (info / "final_annotations_dict.pkl").write_bytes(pickle.dumps({(7, 7): {"difficulty": 3}}))
    with pytest.raises(DataError, match=r"\(7, 7\): lacks .*final_score"):
        read_mtl_aqa(folder)


def test_a_missing_broadcast_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "new" / "new_total_frames_256s" / "26")
    with pytest.raises(DataError, match=r"26 has no JPEG frames"):
        read_mtl_aqa(folder)
    shutil.rmtree(folder / "new")
    with pytest.raises(DataError, match="lacks the frames: need new_total_frames_256s or new/"):
        read_mtl_aqa(folder)
