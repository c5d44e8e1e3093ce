"""Joints from the simulator's tracks and from COCO-17 keypoints; what does not fit is refused."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.video.frame_files import FrameFiles
from tests.clips import write_clip
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError
from training.paper.baselines.poses import frame_rate, read_joints


@pytest.fixture
def clip(tmp_path: Path) -> JudgedClip:
    (tmp_path / "clips").mkdir()
    path = tmp_path / "clips" / "00007.mp4"
    return JudgedClip(path=path, split="train", score=5.0, columns={"clip": "clips/00007.mp4"})


def person(frame: int, x: float, score: float = 1.0, seen: int = 2) -> dict[str, Any]:
    return {"image_id": frame, "keypoints": [x, x + 1, seen] * 17, "score": score}


def write(clip: JudgedClip, content: object, name: str = "00007.json") -> Path:
    folder = clip.path.parent.parent / "poses"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def test_tracks(clip: JudgedClip) -> None:
    assert clip.tracks is None
    with pytest.raises(DataError, match="need --poses FOLDER"):
        read_joints(clip, None)
    tracks = clip.path.parent.parent / "tracks"
    tracks.mkdir()
    joints = np.random.default_rng(0).random((20, 17, 2)).astype(np.float32)
    np.savez(tracks / "00007.npz", joints=joints)
    np.testing.assert_array_equal(read_joints(clip, None), joints)
    np.savez(tracks / "00007.npz", other=joints)
    with pytest.raises(DataError, match="no array joints"):
        read_joints(clip, None)


def test_keypoints_by_frame_of_the_surest_person(clip: JudgedClip) -> None:
    people = [person(12, 5.0), person(10, 1.0, 0.3), person(10, 2.0, 0.9), person(13, 7.0, seen=0)]
    joints = read_joints(clip, write(clip, people))
    assert joints.shape == (4, 17, 2)  # frames 10…13
    assert joints[0, 0].tolist() == [2.0, 3.0]
    assert np.isnan(joints[1]).all()  # nobody was found
    assert joints[2, 16].tolist() == [5.0, 6.0]
    assert np.isnan(joints[3]).all()  # nothing of them was seen


def test_annotations_and_names_as_in_the_data_set(clip: JudgedClip) -> None:
    folder = write(clip, {"annotations": [person(0, 1.0), person(1, 2.0)]}, "clips/00007.json")
    assert read_joints(clip, folder)[1, 0].tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "need a list of keypoints"),
        ({"people": []}, "need a list of keypoints"),
        ([person(0, 1.0)], r"joints are \(1, 17, 2\), need"),
        ([{"image_id": 0}], "entry 0: need image_id and 17"),
        ([{"image_id": 0, "keypoints": [1, 2, 3]}], "entry 0: need image_id and 17"),
        ([7], "entry 0"),
        ([person(0, float("inf")), person(1, 1.0)], "not finite"),
        ([person(0, 1.0, seen=0), person(1, 1.0, seen=0)], "no joint is known"),
    ],
)
def test_what_is_wrong_is_said(clip: JudgedClip, content: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_joints(clip, write(clip, content))


def test_the_frame_rate_is_that_of_the_file(clip: JudgedClip, tmp_path: Path) -> None:
    write_clip(clip.path, np.zeros((9, 32, 32, 3), np.uint8), fps=50)
    assert frame_rate(clip) == 50
    frames = FrameFiles((tmp_path / "1.jpg",), Fraction(25))
    assert frame_rate(dataclasses.replace(clip, frames=frames)) == 25
    clip.path.write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"00007\.mp4"):
        frame_rate(clip)


def test_a_missing_file_is_named(clip: JudgedClip, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"need .*clips.00007.json or .*poses.00007.json"):
        read_joints(clip, tmp_path / "poses")
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses" / "00007.json").write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        read_joints(clip, tmp_path / "poses")
