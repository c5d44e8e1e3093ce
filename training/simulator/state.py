"""
Ground truth for every frame: what is to be seen of the athlete, scaled to about 0…1 or −1…1.

Values are NaN in frames where nothing of the athlete is to be seen; the splash is always known.
"""

import numpy as np
from numpy.typing import NDArray

from training.simulator.body import COCO, POINT, Floats
from training.simulator.looks import HEIGHT, WIDTH
from training.simulator.motion import Motion
from training.simulator.performance import Performance

_MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]  # left becomes right


def coco_joints(
    plan: Performance, motion: Motion, pixels: Floats, seen: NDArray[np.bool_], *, mirrored: bool
) -> NDArray[np.float32]:
    """(T, J, 3) pixels -> (T, 17, 2), 0…1; NaN outside the picture and under water."""
    order = [POINT[name] for name in COCO]
    joints = pixels[:, order, :2] / (WIDTH, HEIGHT)
    if mirrored:
        joints = joints[:, _MIRROR] * (-1, 1) + (1, 0)
    hidden = ((joints < 0) | (joints > 1)).any(axis=-1) | ~seen[:, None]
    if plan.action == "diving":
        heights = motion.points[:, order, 1]
        hidden |= (heights[:, _MIRROR] if mirrored else heights) < 0
    joints[hidden] = np.nan
    return joints.astype(np.float32)


def describe_state(
    plan: Performance, motion: Motion, seen: NDArray[np.bool_], *, mirrored: bool
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """-> (T, S) values and their names."""
    pose, points = motion.pose, motion.points
    sign = -1.0 if mirrored else 1.0

    def mean(name: str) -> Floats:
        value: Floats = (pose[f"{name}_l"] + pose[f"{name}_r"]) / 2
        return value

    legs = [points[:, POINT[f"ankle_{s}"]] - points[:, POINT[f"hip_{s}"]] for s in ("l", "r")]
    cosine = (legs[0] * legs[1]).sum(axis=-1) / np.prod(
        [np.linalg.norm(leg, axis=-1) for leg in legs], axis=0
    )
    tilt, twist = np.deg2rad(motion.tilt), np.deg2rad(motion.twist)
    columns: dict[str, Floats] = {
        "knee_flexion": mean("knee") / 150,
        "hip_flexion": mean("hip") / 150,
        "arms_raised": mean("shoulder") / 180,
        "elbow_flexion": mean("elbow") / 150,
        "leg_separation": np.arccos(np.clip(cosine, -1, 1)) / np.pi,
        "tilt_sin": sign * np.sin(tilt),
        "tilt_cos": np.cos(tilt),
        "tilt_speed": sign * np.gradient(motion.tilt) / 40,
        "twist_sin": np.sin(twist),
        "twist_cos": np.cos(twist),
        "twist_speed": np.gradient(motion.twist) / 60,
        "height": points[:, POINT["pelvis"], 1] / 5,
        "vertical_speed": np.gradient(motion.followed[:, 1]) / 0.25,
        **{f"fault_{kind}": shown for kind, shown in motion.shown.items()},
    }
    state = np.stack(list(columns.values()), axis=-1).astype(np.float32)
    always = [name == "fault_splash" for name in columns]
    state[np.ix_(~seen, ~np.array(always))] = np.nan
    return state, tuple(columns)
