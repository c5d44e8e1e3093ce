"""
Where the athlete's joints are in every frame: the simulator's tracks, or files of a pose estimator.

Pose files are COCO-17 keypoints as JSON, one a clip: a list of
`{"image_id": 12, "keypoints": [x1, y1, v1, …], "score": 0.9}`, or an object with such a list under
`annotations`. Frames go by `image_id`; of several people in a frame the one of the highest score is
taken. They lie at FOLDER/NAME.json, NAME being the clip's name in the data set without its ending,
or the last part of it.

Shapes: T frames, 17 joints.
"""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.clip import ClipLimits
from model_store.errors import ClipError
from model_store.video.container import open_bytes, open_video
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError

Joints = NDArray[np.float64]
"""(T, 17, 2), NaN where a joint is not known."""

JOINTS = 17


def read_joints(clip: JudgedClip, poses: Path | None) -> Joints:
    """From `poses`, or from the clip's tracks.   Raises DataError."""
    if poses is not None:
        return _of_json(pose_file(clip, poses))
    if clip.tracks is None:
        raise DataError(f"{clip.path} has no tracks, need --poses FOLDER with keypoints")
    try:
        with np.load(clip.tracks, allow_pickle=False) as file:
            joints: Joints = file["joints"].astype(np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{clip.tracks} has no array joints: {error}") from error
    return _checked(joints, clip.tracks)


def frame_rate(clip: JudgedClip) -> Fraction:
    """Of the clip's file, frames a second, as it states them.   Raises DataError."""
    if clip.frames is not None:
        return clip.frames.fps
    try:
        with open_bytes(clip.path) as file, open_video(file, ClipLimits()) as video:
            rate = video.rate
    except ClipError as error:
        raise DataError(f"{clip.path}: {error}") from error
    if not rate:
        raise DataError(f"{clip.path} states no frame rate")
    return rate


def pose_file(clip: JudgedClip, poses: Path) -> Path:
    """Raises DataError where there is none."""
    name = Path(clip.columns["clip"])
    name = name if clip.frames is not None else name.with_suffix("")
    candidates = (poses / f"{name}.json", poses / f"{name.name}.json")
    for path in candidates:
        if path.is_file():
            return path
    raise DataError(f"no pose file for {clip.path}: need {' or '.join(map(str, candidates))}")


def _of_json(path: Path) -> Joints:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON: {error}") from error
    if isinstance(content, dict):
        content = content.get("annotations")
    if not isinstance(content, list) or not content:
        raise DataError(f"{path}: need a list of keypoints, or one under annotations")
    people: dict[int, tuple[float, Joints]] = {}
    for number, person in enumerate(content):
        where = f"{path}, entry {number}"
        try:
            frame, score = int(person["image_id"]), float(person.get("score", 1.0))
            joints = _keypoints(person["keypoints"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{where}: need image_id and 17 × (x, y, v) keypoints") from error
        if frame not in people or score > people[frame][0]:
            people[frame] = score, joints
    first, last = min(people), max(people)
    unknown = np.full((JOINTS, 2), np.nan)
    frames = [people[n][1] if n in people else unknown for n in range(first, last + 1)]
    return _checked(np.stack(frames), path)


def _keypoints(values: Any) -> Joints:
    """51 numbers -> (17, 2), NaN where v is 0."""
    points = np.array(values, np.float64).reshape(JOINTS, 3)
    joints: Joints = np.where(points[:, 2:] > 0, points[:, :2], math.nan)
    return joints


def _checked(joints: Joints, path: Path) -> Joints:
    if joints.ndim != 3 or joints.shape[1:] != (JOINTS, 2) or len(joints) < 2:
        raise DataError(f"{path}: joints are {joints.shape}, need (frames, 17, 2)")
    if np.isinf(joints).any():
        raise DataError(f"{path}: joints that are not finite")
    if np.isnan(joints).all():
        raise DataError(f"{path}: no joint is known in any frame")
    return joints
