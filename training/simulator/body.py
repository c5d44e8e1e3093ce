"""
The athlete's skeleton: from joint angles over time to points in the world.

Lengths are in body heights, angles in degrees. Body axes: forward, up, left. World axes: x along
the travel, y up, z towards the camera at yaw 0. Shapes: T frames, J points.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pose = dict[str, Floats]
"""Angle name -> (T,) degrees; every name of ANGLES."""

ANGLES = (
    "hip_l", "hip_r",  # flexion, thigh forward
    "knee_l", "knee_r",  # flexion
    "spread_l", "spread_r",  # thigh outward
    "ankle_l", "ankle_r",  # 90 standing, 15 pointed
    "shoulder_l", "shoulder_r",  # 0 hanging, 90 forward, 180 overhead
    "elbow_l", "elbow_r",  # flexion
    "reach_l", "reach_r",  # arm outward
    "spine", "neck",  # bent forward
)  # fmt: skip

POINTS = (
    "pelvis", "neck", "head", "face",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r", "toe_l", "toe_r",
    "chest_l", "chest_r", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r",
    "wrist_l", "wrist_r", "hand_l", "hand_r", "breast", "belly",
)  # fmt: skip
POINT = {name: i for i, name in enumerate(POINTS)}

TRUNK, THIGH, SHIN, FOOT = 0.30, 0.245, 0.245, 0.11
UPPER_ARM, FOREARM, HAND = 0.165, 0.15, 0.08

_MASSES = {
    "pelvis": 0.22, "neck": 0.28, "head": 0.08,
    "knee_l": 0.10, "knee_r": 0.10, "ankle_l": 0.06, "ankle_r": 0.06,
    "elbow_l": 0.03, "elbow_r": 0.03, "wrist_l": 0.02, "wrist_r": 0.02,
}  # fmt: skip

COCO = (
    "face", "face", "face", "head", "head", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r",
    "wrist_l", "wrist_r", "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r",
)  # fmt: skip
"""Point that stands for each of the 17 COCO joints; eyes and ears are too small to be separate."""


def keyframes(keys: Sequence[tuple[float, Mapping[str, float]]], frames: int) -> Pose:
    """(frame, angles) in order -> a pose; `hip` means both hips, unnamed angles stay.

    Between keys angles run along a cosine, so that every key is an instant of rest.
    """
    times = np.array([t for t, _ in keys], dtype=np.float64)
    if (np.diff(times) <= 0).any():
        raise ValueError(f"key frames at {times.tolist()}, need increasing times")
    values = np.zeros((len(keys), len(ANGLES)))
    for i, (_, angles) in enumerate(keys):
        if i:
            values[i] = values[i - 1]
        for name, angle in angles.items():
            for target in both(name):
                values[i, ANGLES.index(target)] = angle
    now = np.clip(np.arange(frames, dtype=np.float64), times[0], times[-1])
    after = np.clip(np.searchsorted(times, now, side="right"), 1, len(times) - 1)
    share = (now - times[after - 1]) / (times[after] - times[after - 1])
    share = (1 - np.cos(np.pi * share)) / 2
    track = values[after - 1] + share[:, None] * (values[after] - values[after - 1])  # (T, angles)
    return {name: track[:, i] for i, name in enumerate(ANGLES)}


def both(name: str) -> tuple[str, ...]:
    return (name,) if name in ANGLES else (f"{name}_l", f"{name}_r")


def bend(pose: Pose, amount: Floats, **degrees: float) -> None:
    """Add `degrees` × amount (T,) to angles, in place; `hip` means both hips."""
    for name, angle in degrees.items():
        for target in both(name):
            pose[target] = pose[target] + angle * amount


def skeleton(pose: Pose) -> Floats:
    """Pose -> (T, J, 3) points in body axes, relative to the centre of mass."""
    angle = {name: np.deg2rad(values) for name, values in pose.items()}
    frames = len(pose["spine"])
    points = np.zeros((frames, len(POINTS), 3))

    def put(name: str, base: str, length: float, pitch: Floats, out: Floats | float = 0.0) -> None:
        """`length` from `base`; pitch 0 hangs down, 90 points forward; out is outward."""
        step = (np.sin(pitch) * np.cos(out), -np.cos(pitch) * np.cos(out), np.sin(out) + 0 * pitch)
        points[:, POINT[name]] = points[:, POINT[base]] + length * np.stack(step, axis=-1)

    spine, up = angle["spine"], np.pi
    put("neck", "pelvis", TRUNK, up - spine)
    put("head", "neck", 0.115, up - spine - angle["neck"])
    put("face", "head", 0.035, up / 2 - spine - angle["neck"])
    for name, height, depth in (("breast", 0.24, 0.035), ("belly", 0.06, 0.03)):
        put(name, "pelvis", height, up - spine)
        points[:, POINT[name], 0] += depth * np.cos(spine)
        points[:, POINT[name], 1] -= depth * np.sin(spine)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        for name, base, inset in (
            (f"hip_{side}", "pelvis", 0.058),
            (f"chest_{side}", "neck", 0.065),
            (f"shoulder_{side}", "neck", 0.115),
        ):
            points[:, POINT[name]] = points[:, POINT[base]]
            points[:, POINT[name], 2] += sign * inset
        thigh, out = angle[f"hip_{side}"], sign * angle[f"spread_{side}"]
        shin = thigh - angle[f"knee_{side}"]
        put(f"knee_{side}", f"hip_{side}", THIGH, thigh, out)
        put(f"ankle_{side}", f"knee_{side}", SHIN, shin, out)
        put(f"toe_{side}", f"ankle_{side}", FOOT, shin + angle[f"ankle_{side}"], out)
        arm, out = angle[f"shoulder_{side}"] - spine, sign * angle[f"reach_{side}"]
        fore = arm + angle[f"elbow_{side}"]
        put(f"elbow_{side}", f"shoulder_{side}", UPPER_ARM, arm, out)
        put(f"wrist_{side}", f"elbow_{side}", FOREARM, fore, out)
        put(f"hand_{side}", f"wrist_{side}", HAND, fore, out)
    mass = sum(_MASSES.values())
    centre = sum(m * points[:, POINT[name]] for name, m in _MASSES.items()) / mass
    relative: Floats = points - np.asarray(centre)[:, None]
    return relative


def orient(points: Floats, tilt: Floats, twist: Floats) -> Floats:
    """(T, J, 3) body axes -> world axes: twisted about the length, then tilted towards +x.

    tilt and twist (T,) in degrees; at 0 the athlete stands upright and faces +x.
    """
    turn, lean = np.deg2rad(twist)[:, None], np.deg2rad(tilt)[:, None]
    forward, up, left = np.moveaxis(points, -1, 0)
    x = forward * np.cos(turn) + left * np.sin(turn)
    z = forward * np.sin(turn) - left * np.cos(turn)
    return np.stack(
        (x * np.cos(lean) + up * np.sin(lean), -x * np.sin(lean) + up * np.cos(lean), z), axis=-1
    )


def envelope(frames: int, stage: range, *, rise: int = 4, fall: int = 4) -> Floats:
    """(T,) 0…1: full inside a stage, exactly 0 outside, smooth in between; fall 0 stays full."""
    t = np.arange(frames, dtype=np.float64)
    up = np.clip((t - stage.start + 1) / rise, 0, 1)
    down = np.clip((stage.stop - t) / fall, 0, 1) if fall else np.ones(frames)
    inside = (t >= stage.start) & (t < stage.stop)
    smooth = up * up * (3 - 2 * up) * down * down * (3 - 2 * down)
    return np.where(inside, smooth, 0.0)
