"""
Recordings that nobody has cut: a routine, and what the camera saw before and after it.

    standing   the athlete stands where the routine begins, and moves a little
    walking    the athlete walks there, to and fro
    empty      the camera shows water, or the hall, and turns to the athlete
    others     other athletes, elsewhere and in other light, who stand, walk, or stop their run-up
    several    two or three routines of different athletes

The rule: a routine's frames in a recording are what `simulate_clip` would show of it, from the same
camera; where it begins and ends is known.

Shapes: N frames of the recording, J points.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from training.simulator.actions import Scene
from training.simulator.body import ANGLES, Floats, Pose
from training.simulator.camera import diving_shots, vault_shots
from training.simulator.clip import render_scene
from training.simulator.diving_motion import diving_motion
from training.simulator.looks import FPS, Looks, Pixels, Style, draw_looks
from training.simulator.motion import Motion, oriented
from training.simulator.plan import Plan, draw_plan
from training.simulator.seeds import stream
from training.simulator.vault_motion import STRIDE, vault_motion
from training.simulator.water import Water

Kind = Literal["standing", "walking", "empty", "others", "several"]
KINDS: tuple[Kind, ...] = get_args(Kind)
AROUND_S = 15.0  # of other things before the routine, and after it, at most

_RUN_UP = (25, 65)  # frames that a vault's run-up lasts longer than what a clip shows of it
_PACE = 0.024  # body heights a frame: a slow walk
_PATH = 2.2  # body heights that the athlete walks to and fro
_TURN = 18  # frames to turn round, or to kick up into an armstand
_GET_UP = 24  # frames from the last pose to an upright one


@dataclass(frozen=True, slots=True, kw_only=True)
class UncutRecording:
    kind: Kind
    frames: Pixels
    """(N, 240, 320, 3) RGB, before encoding."""
    routines: tuple[range, ...]
    """The frames of each routine, as a data set would cut it."""
    crf: int
    """As it is to be encoded."""

    def routines_as_pairs(self) -> list[tuple[int, int]]:
        """First frame of each, and the first one after it."""
        return [(shown.start, shown.stop) for shown in self.routines]


def simulate_recording(
    action: str,
    seed: int,
    index: int,
    kind: Kind,
    *,
    style: Style = "plain",
    around_s: float = AROUND_S,
) -> UncutRecording:
    """Recording `index` of `seed`, 30 frames a second, a dive or a vault.

    Before the routine, and after it, is up to `around_s` of other things; among several routines a
    third of that, and where others are seen up to two of them for up to six seconds each.
    """
    rng = stream(seed, index, "uncut")
    takes: list[tuple[Pixels, range | None]] = []
    if kind == "several":
        for number in range(int(rng.integers(2, 4))):
            takes.append(_take(action, seed, index, number, "standing", style, rng, around_s / 3))
    elif kind == "others":
        before = [_other(action, seed, index, n, style, rng) for n in range(rng.integers(0, 3))]
        after = [_other(action, seed, index, 5 + n, style, rng) for n in range(rng.integers(0, 3))]
        takes = [*before, _take(action, seed, index, 0, "walking", style, rng, 3.0), *after]
    else:
        takes.append(_take(action, seed, index, 0, kind, style, rng, around_s))
    begins = [0, *itertools.accumulate(len(frames) for frames, _ in takes)]
    routines = tuple(
        range(begin + shown.start, begin + shown.stop)
        for begin, (_, shown) in zip(begins, takes, strict=False)
        if shown is not None
    )
    return UncutRecording(
        kind=kind,
        frames=np.concatenate([frames for frames, _ in takes]),
        routines=routines,
        crf=int(rng.integers(20, 30)),
    )


def _take(
    action: str,
    seed: int,
    index: int,
    number: int,
    kind: Kind,
    style: Style,
    rng: np.random.Generator,
    around_s: float,
) -> tuple[Pixels, range]:
    """One routine with what is around it, and which of the frames are its own."""
    inner = 1000 * index + number  # of the same seed: another routine, another look
    plan = draw_plan(action, seed, inner, style=style)
    looks = draw_looks(action, stream(seed, inner, "looks"), style=style)
    turns = kind == "empty" and looks.camera == "stands"  # a camera that stands cannot turn
    looks = dataclasses.replace(looks, stale=0, camera="follows" if turns else looks.camera)
    before, after = (int(n) for n in rng.integers(0, int(around_s * FPS) + 1, 2))
    frames = _rendered(plan, looks, kind, before, after, rng)
    return frames, range(before, before + plan.frames)


def _other(
    action: str, seed: int, index: int, number: int, style: Style, rng: np.random.Generator
) -> tuple[Pixels, None]:
    """What somebody does who does not jump."""
    kind: Kind = "walking" if rng.random() < 0.6 else "standing"
    inner = 1000 * index + 100 + number
    plan = draw_plan(action, seed, inner, style=style)
    looks = draw_looks(action, stream(seed, inner, "looks"), style=style)
    looks = dataclasses.replace(looks, stale=0)
    shown = int(rng.integers(2 * FPS, 6 * FPS))
    ends = 0 if action == "diving" else int(rng.integers(0, plan.stage_starts[1] - 6))
    frames = _rendered(plan, looks, kind, shown, 0, rng)
    return frames[: shown + ends], None


def _rendered(
    plan: Plan, looks: Looks, kind: Kind, before: int, after: int, rng: np.random.Generator
) -> Pixels:
    motion_rng = stream(plan.seed, plan.index, "motion")
    if plan.action == "diving":
        motion = diving_motion(plan, looks.platform, motion_rng)
        ground = looks.platform + 0.025
        run_up = 0
    else:
        run_up = min(int(rng.integers(*_RUN_UP)), before)
        motion = vault_motion(_later(plan, run_up, 0), motion_rng)
        ground = 0.02
    waiting = _before(motion, kind, before - run_up, ground, plan.action, rng)
    leaving = _after(motion, after, plan.action, rng)
    whole = _joined(waiting, motion, leaving)
    longer = _later(plan, before, after)
    followed = whole.followed
    if kind == "empty":
        followed = _turning_camera(followed, before - run_up, plan.action, rng)
    if plan.action == "diving":
        shots = diving_shots(looks, followed, longer.stage_starts, motion_rng)
        scene = Scene(whole, shots, Water(longer, whole))
    else:
        scene = Scene(whole, vault_shots(looks, followed, longer.stage_starts, motion_rng))
    return render_scene(longer, looks, scene)[0]


def _later(plan: Plan, before: int, after: int) -> Plan:
    """The same routine, with more frames before it and after it, in its first and last stage."""
    first, *others = plan.stage_starts
    starts = (first, *(start + before for start in others))
    return dataclasses.replace(plan, stage_starts=starts, frames=before + plan.frames + after)


def _before(
    motion: Motion, kind: Kind, frames: int, ground: float, action: str, rng: np.random.Generator
) -> Motion:
    """The athlete until the routine begins."""
    begins = {name: angle[0] for name, angle in motion.pose.items()}
    upright = {name: 0.0 for name in ANGLES} | {"ankle_l": 90.0, "ankle_r": 90.0}
    upright |= {"shoulder_l": 6.0, "shoulder_r": 6.0, "elbow_l": 8.0, "elbow_r": 8.0}
    place, first_tilt, first_twist = motion.followed[0, 0], motion.tilt[0], motion.twist[0]
    inverted = abs(first_tilt) > 90
    left = np.arange(frames, 0, -1, dtype=np.float64)  # frames until the routine begins
    ready = float(rng.integers(15, 75)) if kind == "walking" else float(frames)
    walked = np.maximum(left - ready - _TURN, 0) * (kind == "walking")
    x = place - np.abs((walked * _PACE + _PATH) % (2 * _PATH) - _PATH)
    going = np.sign(((walked * _PACE) % (2 * _PATH)) - _PATH)  # −1: towards the place
    heading = np.where(walked > 0, 90 + 90 * going, first_twist)
    twist = _smooth(heading, _TURN)
    moves = np.clip(walked / 4, 0, 1)
    share = np.clip(1 - left / (10.0 if action == "vault" else 6.0), 0, 1)  # of the first pose
    if not inverted and action == "diving":
        share[:] = 1 - moves
    if inverted:
        share = np.clip(1 - (left - ready / 2) / _TURN, 0, 1)
    pose = {n: upright[n] + share * (begins[n] - upright[n]) for n in ANGLES}
    tilt = first_tilt * share
    calm = np.clip(left / FPS - 0.1, 0, 1)  # no jump where the routine begins
    _sway(pose, tilt, (1 - share * inverted) * calm, rng)
    _walk(pose, moves, rng)
    return _standing(pose, tilt, twist, x, ground)


def _after(motion: Motion, frames: int, action: str, rng: np.random.Generator) -> Motion:
    """The athlete when the routine is over: under water, or on the mat, later walking off."""
    if action == "diving":
        return _held(motion, frames)
    since = np.arange(frames, dtype=np.float64)
    upright = {name: 0.0 for name in ANGLES} | {"ankle_l": 90.0, "ankle_r": 90.0}
    begins, waits = int(rng.integers(6, 40)), int(rng.integers(20, 120))
    share = np.clip(1 - (since - begins) / _GET_UP, 0, 1)
    pose = {n: upright[n] + share * (motion.pose[n][-1] - upright[n]) for n in ANGLES}
    full = 360 * np.round(motion.tilt[-1] / 360)
    tilt = full + (motion.tilt[-1] - full) * share
    walked = np.maximum(since - begins - _GET_UP - waits, 0)
    moves = np.clip(walked / 6, 0, 1)
    _sway(pose, tilt, 1 - share, rng)  # at first nothing: the athlete is still
    _walk(pose, moves, rng)
    last = {name: angle[-1:] for name, angle in motion.pose.items()}
    around = oriented(last, motion.tilt[-1:], motion.twist[-1:])[0]  # the centre of mass
    x = motion.points[-1, 0, 0] - around[0, 0] + walked * _PACE
    ground = float(motion.points[-1, :, 1].min())
    left = _standing(pose, tilt, np.full(frames, motion.twist[-1]), x, ground)
    calm = np.clip(1 - since / FPS, 0, 1)[:, None]  # the camera does not jump to the athlete
    followed = left.followed + calm * (motion.followed[-1] - left.followed[:1])
    return dataclasses.replace(left, followed=followed)


def _standing(
    pose: Pose,
    tilt: Floats,
    twist: Floats,
    x: Floats,
    ground: float,
) -> Motion:
    """The lowest point of the body is on the ground."""
    points = oriented(pose, tilt, twist)
    centre = np.zeros((len(x), 3))
    centre[:, 0] = x
    centre[:, 1] = ground - points[..., 1].min(axis=1, initial=0)
    return Motion(
        pose=pose,
        tilt=tilt,
        twist=twist,
        points=points + centre[:, None],
        followed=centre,
        shown={},
    )


def _held(motion: Motion, frames: int) -> Motion:
    return Motion(
        pose={name: np.repeat(angle[-1:], frames) for name, angle in motion.pose.items()},
        tilt=np.repeat(motion.tilt[-1:], frames),
        twist=np.repeat(motion.twist[-1:], frames),
        points=np.repeat(motion.points[-1:], frames, axis=0),
        followed=np.repeat(motion.followed[-1:], frames, axis=0),
        shown={},
    )


def _joined(*parts: Motion) -> Motion:
    return Motion(
        pose={name: np.concatenate([part.pose[name] for part in parts]) for name in ANGLES},
        tilt=np.concatenate([part.tilt for part in parts]),
        twist=np.concatenate([part.twist for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        followed=np.concatenate([part.followed for part in parts]),
        shown={},
    )


def _sway(pose: Pose, tilt: Floats, share: Floats, rng: np.random.Generator) -> None:
    """Nobody stands still: the athlete leans, and now and then raises the arms, or bends."""
    t = np.arange(len(tilt)) / FPS
    for name, most in (("shoulder_l", 5), ("shoulder_r", 5), ("elbow_l", 6), ("spine", 2.5)):
        rate, phase = rng.uniform(0.15, 0.6), rng.uniform(0, 6.3)
        pose[name] = pose[name] + share * most * np.sin(2 * np.pi * rate * t + phase)
    tilt += share * 1.2 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * t + rng.uniform(0, 6.3))
    for begin in _moments(len(tilt), rng):
        length = int(rng.integers(20, 60))
        bump = np.sin(np.pi * np.clip((np.arange(len(tilt)) - begin) / length, 0, 1)) * share
        for names in (("shoulder_l", "shoulder_r"), ("shoulder_r",), ("hip_l", "hip_r", "spine")):
            if rng.random() < 0.45:
                most = rng.uniform(25, 150) if names[0] != "hip_l" else rng.uniform(10, 45)
                for name in names:
                    pose[name] = pose[name] + most * bump


def _moments(frames: int, rng: np.random.Generator) -> Iterator[int]:
    at = int(rng.integers(0, 120))
    while at < frames - 60:
        yield at
        at += int(rng.integers(60, 240))


def _walk(pose: Pose, share: Floats, rng: np.random.Generator) -> None:
    step = 2 * np.pi * (np.arange(len(share)) / (2.6 * STRIDE) + rng.random())
    for side, sign in (("l", 1.0), ("r", -1.0)):
        for name, angle in (
            (f"hip_{side}", 4 + 20 * sign * np.sin(step)),
            (f"knee_{side}", 8 + 14 * (1 + sign * np.cos(step))),
            (f"shoulder_{side}", -14 * sign * np.sin(step)),
        ):
            pose[name] = pose[name] + share * angle


def _turning_camera(
    followed: Floats, waiting: int, action: str, rng: np.random.Generator
) -> Floats:
    """The camera shows the pool, or the mat, and turns to the athlete before it starts."""
    turned = waiting - int(rng.integers(5, 60))
    if turned < 30:
        return followed
    place = np.array([1.6, 0.5, 0.0]) if action == "diving" else np.array([2.0, 0.8, 0.0])
    place = place + rng.uniform(-0.6, 0.6, 3) * (1, 0.3, 0)
    length = int(rng.integers(15, 60))
    share = np.clip((np.arange(len(followed)) - turned) / length + 1, 0, 1)
    share = (share * share * (3 - 2 * share))[:, None]
    looked: Floats = place + share * (followed - place)
    return looked


def _smooth(values: Floats, window: int) -> Floats:
    if not len(values):
        return values
    padded = np.concatenate(
        (
            np.repeat(values[:1], window // 2),
            values,
            np.repeat(values[-1:], window - 1 - window // 2),
        )
    )
    smooth: Floats = np.convolve(padded, np.ones(window) / window, mode="valid")
    return smooth
