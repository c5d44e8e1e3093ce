"""A programme on ice: gliding along curves, jumps, spins, and what goes wrong in them."""

import numpy as np

from training.simulator.body import Floats, Pose, bend, envelope, keyframes, skeleton
from training.simulator.motion import Motion
from training.simulator.programme import Item, Programme
from training.simulator.skating_path import skating_path
from training.simulator.skating_poses import GLIDING, Key, element_keys

STRIDE = 7.0  # frames of a double stroke
BACKWARDS = 4  # frames that a turn from forwards to backwards takes
LANDED = 9  # frames after the landing until the skater turns forwards again
TURN = {"upright": 130.0, "sit": 115.0, "camel": 100.0}  # degrees a frame in a spin
SLOWER = 0.55  # share of a spin's turns that is missing at severity 1
SHORT = 170.0  # degrees that a jump is under-rotated at severity 1
TRAVEL = 0.75  # body heights that a spin travels at severity 1
RINK_LEVEL = 0.02  # height of the point of the foot above the ice


def skating_motion(programme: Programme, rng: np.random.Generator) -> Motion:
    """The skater of a programme; the middle of the rink is at x = z = 0, the ice at y = 0."""
    variety = rng.uniform(-1, 1, size=4)
    ground, heading = skating_path(programme, rng)
    sense = 1.0 if variety[0] > -0.7 else -1.0
    pose, pitch = _poses(programme, variety)
    roll = -2.2 * np.gradient(heading) * _smooth(_between(programme))
    twist = heading + sense * _turning(programme, {})
    rise = _rise(programme)
    followed = _centre(_points(pose, pitch, roll, twist), ground, rise)

    shown, travelled = _apply_faults(programme, pose, pitch, roll)
    twist = heading + sense * _turning(programme, programme.severities)
    points = _points(pose, pitch, roll, twist)
    centre = _centre(points, ground + travelled, rise)
    return Motion(
        pose=pose,
        tilt=pitch,
        twist=np.unwrap(twist, period=360),
        points=points + centre[:, None],
        followed=followed,
        shown=shown,
    )


def _points(pose: Pose, pitch: Floats, roll: Floats, twist: Floats) -> Floats:
    """(T, J, 3) in world axes, relative to the centre of mass: bent forwards, leant to the left,
    then turned about the vertical."""
    forward, up, left = np.moveaxis(skeleton(pose), -1, 0)
    bow, lean, turn = (np.deg2rad(angle)[:, None] for angle in (pitch, roll, twist))
    forward, up = forward * np.cos(bow) + up * np.sin(bow), up * np.cos(bow) - forward * np.sin(bow)
    left, up = left * np.cos(lean) + up * np.sin(lean), up * np.cos(lean) - left * np.sin(lean)
    x = forward * np.cos(turn) + left * np.sin(turn)
    z = forward * np.sin(turn) - left * np.cos(turn)
    return np.stack((x, up, z), axis=-1)


def _centre(points: Floats, ground: Floats, rise: Floats) -> Floats:
    """Centre of mass (T, 3) that puts the lowest point of the body on the ice, or `rise` above."""
    height = RINK_LEVEL - points[..., 1].min(axis=1) + rise
    return np.stack((ground[:, 0], height, ground[:, 1]), axis=-1)


def _between(programme: Programme) -> Floats:
    """(T,) 1 while the skater glides between elements, 0 inside them."""
    free = np.ones(programme.frames)
    for item in programme.items:
        free[item.frames.start : item.frames.stop] = 0
    return free


def _smooth(values: Floats) -> Floats:
    kernel = np.array((0.25, 0.5, 0.25))
    smooth: Floats = np.convolve(np.pad(values, 1, mode="edge"), kernel, mode="valid")
    return smooth


def _poses(programme: Programme, variety: Floats) -> tuple[Pose, Floats]:
    """The faultless programme's angles and how far the whole body is bent forwards (T,)."""
    keys: list[Key] = [Key(0, GLIDING)]
    for item in programme.items:
        keys += element_keys(item)
    keys.append(Key(programme.frames, GLIDING))
    pose = keyframes([(key.frame, key.angles) for key in keys], programme.frames)
    frames = np.arange(programme.frames)
    pitch = np.interp(frames, [key.frame for key in keys], [key.pitch for key in keys])

    free = np.minimum(_between(programme), _smooth(_between(programme)))
    stroke = np.sin(2 * np.pi * (frames / STRIDE + variety[1]))
    for side, other, sign in (("l", "r", 1.0), ("r", "l", -1.0)):
        push = np.maximum(sign * stroke, 0)
        pushing = {f"hip_{side}": -36, f"spread_{side}": 24, f"knee_{side}": -6}
        bend(pose, free * push, **pushing, **{f"hip_{other}": 24, f"knee_{other}": 40})
        bend(pose, free * push, **{f"shoulder_{side}": 40, f"reach_{other}": 18})
    bend(pose, free, spine=14)
    for item in programme.items:
        if "steps" in item.element.positions:
            _step(pose, item, programme.frames)
    return pose, pitch


def _step(pose: Pose, item: Item, frames: int) -> None:
    """The busy feet and arms of a step sequence."""
    inside = envelope(frames, item.core, rise=3, fall=3)
    beat = np.sin(2 * np.pi * (np.arange(frames) - item.core.start) / 4.6)
    bend(pose, inside * np.maximum(beat, 0), knee_l=70, hip_l=48, reach_r=30, shoulder_r=70)
    bend(pose, inside * np.maximum(-beat, 0), knee_r=34, hip_r=20, hip_l=-40, reach_l=30)


def _turning(programme: Programme, severities: dict[str, float]) -> Floats:
    """(T,) degrees by which the skater is turned from where the path leads, over all elements.

    Every element ends on whole turns. A fault changes the angle after its element by whole turns
    only, which cannot be seen: what follows stays as it is.
    """
    t = np.arange(programme.frames, dtype=np.float64)
    total = np.zeros(programme.frames)
    for item in programme.items:
        core, element = item.core, item.element
        if element.kind == "jump":
            axel = element.turns % 1 > 0
            back = item.frames.start + 2
            if not axel:
                total += 180 * _ramp(t, back, back + BACKWARDS)
            total += 360 * element.turns * _ramp(t, core.start - 1, core.stop)
            forwards = core.stop + LANDED
            total += 180 * _ramp(t, forwards, forwards + BACKWARDS)
            short = severities.get(item.fault("under_rotated"), 0.0)
            total -= SHORT * short * _missing(item, t)
        elif element.kind == "spin":
            turns = _whole_turns(item)
            slow = 1 - SLOWER * severities.get(item.fault("slow"), 0.0)
            made = max(round(turns * slow), 1)
            total += 360 * np.where(t < core.stop, made * _spun(item, t), turns)
        elif "steps" in element.positions:
            halves = 2 * (len(core) // 12)
            length = len(core) / halves
            for n in range(halves):
                begin = core.start + n * length
                total += 180 * _ramp(t, begin, begin + 0.6 * length)
    return total


def _ramp(t: Floats, begin: float, end: float) -> Floats:
    """0 until `begin`, 1 from `end`."""
    return np.clip((t - begin) / (end - begin), 0, 1)


def _missing(item: Item, t: Floats) -> Floats:
    """0…1: share of what an under-rotated jump lacks; made up for on the ice."""
    landing = item.core.stop
    return _ramp(t, item.core.start - 1, landing) * (1 - _ramp(t, landing + 3, landing + LANDED))


def _rate(item: Item, t: Floats) -> Floats:
    """Degrees a frame in a spin."""
    positions = item.element.positions
    middles = item.core.start + len(item.core) * (np.arange(len(positions)) + 0.5) / len(positions)
    rate = np.interp(t, middles, [TURN[position] for position in positions])
    rate *= _ramp(t, item.core.start - 1, item.core.start + 3)
    return rate * (1 - 0.7 * _ramp(t, item.core.stop - 4, item.core.stop))


def _whole_turns(item: Item) -> int:
    inside = np.arange(item.core.start, item.core.stop, dtype=np.float64)
    return round(float(_rate(item, inside).sum()) / 360)


def _spun(item: Item, t: Floats) -> Floats:
    """0…1: share of a spin's turns."""
    inside = (t >= item.core.start) & (t < item.core.stop)
    made = np.cumsum(np.where(inside, _rate(item, t), 0))
    share: Floats = made / made[-1]
    return share


def _rise(programme: Programme) -> Floats:
    """(T,) body heights above the ice: more turns need more height."""
    rise = np.zeros(programme.frames)
    for item in programme.items:
        if item.element.kind == "jump":
            share = (np.arange(len(item.core)) + 1) / (len(item.core) + 1)
            top = 0.14 + 0.09 * item.element.turns
            rise[item.core.start : item.core.stop] = top * 4 * share * (1 - share)
    return rise


def _apply_faults(
    programme: Programme, pose: Pose, pitch: Floats, roll: Floats
) -> tuple[dict[str, Floats], Floats]:
    """Apply the faults, in place -> how much each frame shows by kind, and (T, 2) by which the
    skater is off the path."""
    frames = programme.frames
    t = np.arange(frames, dtype=np.float64)
    kinds = ("under_rotated", "two_footed", "stumble", "fall", "slow", "travelling", "unsteady")
    shown = {kind: np.zeros(frames) for kind in kinds}
    travelled = np.zeros((frames, 2))
    for item in programme.items:
        landing, end = item.core.stop, item.frames.stop
        after = t - landing
        severity = {k: programme.severities.get(item.fault(k), 0.0) for k in kinds}

        short = severity["under_rotated"] * _missing(item, t)
        bend(pose, short * (after >= 0), knee_r=26, hip_r=18, spine=12)
        both = severity["two_footed"] * envelope(frames, range(landing, end - 5), rise=1, fall=4)
        bend(pose, both, hip_l=80, knee_l=44, spread=16, reach=-36)
        trip = severity["stumble"] * envelope(frames, range(landing, end - 2), rise=2, fall=5)
        step = np.sin(2 * np.pi * after / 5)
        bend(pose, trip, spine=44, hip=40, shoulder=62, reach=-34, knee_r=22, hip_l=46)
        bend(pose, trip * step, hip_l=34, hip_r=-20, spread=10)
        pitch += 14 * trip
        roll += 16 * trip * step
        down = severity["fall"] ** 0.5 * envelope(frames, range(landing, end), rise=3, fall=6)
        bend(pose, down, hip=30, knee=26, hip_l=62, spine=8, reach=-46, shoulder=20)
        pitch -= 24 * down
        roll += 82 * down

        slow = severity["slow"] * envelope(frames, item.core, rise=3, fall=3)
        bend(pose, slow, reach=26, shoulder=-20)
        away = severity["travelling"] * _ramp(t, item.core.start, landing)
        away *= 1 - _ramp(t, landing, end - 1)
        along = np.deg2rad(70.0 * item.number)
        travelled += TRAVEL * away[:, None] * (np.cos(along), np.sin(along))

        sway = severity["unsteady"] * envelope(frames, item.core, rise=3, fall=3)
        swing = np.sin(2 * np.pi * after / 5.5)
        roll += 18 * sway * swing
        bend(pose, sway, knee_r=24, hip_r=14, hip_l=34 if "spiral" in item.element.positions else 0)
        bend(pose, sway * swing, reach_l=30, reach_r=-30, spine=16)
        for kind, amount in (
            ("under_rotated", short),
            ("two_footed", both),
            ("stumble", trip),
            ("fall", down),
            ("slow", slow),
            ("travelling", away),
            ("unsteady", sway),
        ):
            shown[kind] += amount
    return shown, travelled
