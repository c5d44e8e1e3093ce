"""
A routine in motion: where every point of the athlete is in every frame.

The rule of counterfactual pairs: a fault changes frames of its own stage only, and the path that
the camera follows (`followed`) never depends on faults.
"""

from dataclasses import dataclass

import numpy as np

from training.simulator.body import POINT, Floats, Pose, orient, skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    pose: Pose
    tilt: Floats
    """(T,) degrees from upright towards +x, counted on over somersaults."""
    twist: Floats
    """(T,) degrees about the length of the body."""
    points: Floats
    """(T, J, 3) in the world, body heights."""
    followed: Floats
    """(T, 3) centre of mass of the faultless routine."""
    shown: dict[str, Floats]
    """By kind of fault, (T,) 0…1: how much of it this frame shows."""


@dataclass(frozen=True, slots=True)
class Support:
    """Frames in which points of the body rest at a place of the world."""

    frames: range
    points: tuple[str, ...]
    place: Floats
    """(len(frames), 3)"""


def placed(points: Floats, support: Support) -> Floats:
    """Centre of mass (len(frames), 3) that puts the supporting points at their place."""
    rows = points[support.frames.start : support.frames.stop]
    held = rows[:, [POINT[name] for name in support.points]].mean(axis=1)
    place: Floats = support.place - held
    return place


def oriented(pose: Pose, tilt: Floats, twist: Floats) -> Floats:
    """(T, J, 3) in world axes, relative to the centre of mass."""
    return orient(skeleton(pose), tilt, twist)


def still(frames: range, x: float, y: float) -> Floats:
    return np.tile(np.array([x, y, 0.0]), (len(frames), 1))


def ballistic(begin: Floats, end: Floats, frames: int, rise: float) -> tuple[Floats, Floats]:
    """Free flight from `begin` to `end` in `frames` steps, `rise` above the higher end.

    -> path (frames + 1, 3) and the velocity at the end, per frame.
    """
    top = max(begin[1], end[1]) + rise
    up, down = np.sqrt(2 * (top - begin[1])), np.sqrt(2 * (top - end[1]))
    gravity = ((up + down) / frames) ** 2
    t = np.arange(frames + 1, dtype=np.float64)
    path = begin + (end - begin) * (t / frames)[:, None]
    speed = up * np.sqrt(gravity)
    path[:, 1] = begin[1] + speed * t - gravity * t**2 / 2
    last = (end - begin) / frames
    last[1] = speed - gravity * frames
    return path, last


def spin(frames: int, begin: float, end: float, rate: Floats) -> Floats:
    """(frames + 1,) angle from begin to end, turning at a speed in proportion to `rate`."""
    turned = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)))
    angle: Floats = begin + (end - begin) * turned / turned[-1]
    if len(angle) != frames + 1:
        raise ValueError(f"{len(rate)} rates for {frames} frames, need {frames + 1}")
    return angle
