"""A dive: stance, take-off from the platform, free flight with somersaults and twists, entry."""

import numpy as np

from training.simulator.body import (
    POINT,
    Floats,
    Pose,
    bend,
    envelope,
    keyframes,
)
from training.simulator.looks import Style
from training.simulator.motion import (
    Motion,
    Support,
    ballistic,
    oriented,
    placed,
    spin,
    still,
)
from training.simulator.plan import Plan
from training.simulator.routines import Routine

SINK: dict[Style, int] = {"plain": 7, "broadcast": 5}
"""Frames from the hands' contact with the water until nothing is to be seen."""
TILT = 42.0  # degrees of over- or under-rotation at severity 1
_STRETCHED: dict[str, float] = {
    "hip": 0, "knee": 0, "shoulder": 176, "elbow": 0, "ankle": 15, "spine": 0, "neck": 0,
}  # fmt: skip
_SHAPES: dict[str, dict[str, float]] = {
    "tuck": {"hip": 128, "knee": 135, "shoulder": 15, "elbow": 62, "spine": 28, "neck": 25},
    "pike": {"hip": 128, "knee": 0, "shoulder": 128, "elbow": 0, "spine": 22, "neck": 15},
    "straight": {"hip": 0, "knee": 0, "shoulder": 55, "elbow": 115, "spine": 0, "reach": 8},
}


def facing(routine: Routine) -> tuple[float, float]:
    """Twist at the start (0 faces the water, 180 the tower) and sense of rotation (+1, −1)."""
    start = routine.start or routine.group
    return {
        "forward": (0.0, 1.0),
        "back": (180.0, 1.0),
        "reverse": (0.0, -1.0),
        "inward": (180.0, -1.0),
        "armstand": (180.0, 1.0),
    }[start]


def diving_motion(plan: Plan, platform: float, rng: np.random.Generator) -> Motion:
    """The dive of a plan from a platform of that height, in body heights above the water."""
    variety = rng.uniform(-1, 1, size=12)
    pose, tilt, twist = _faultless(plan, variety)
    points = oriented(pose, tilt, twist)
    centre = _path(plan, points, platform, variety)
    followed = centre.copy()
    shown = _apply_faults(plan, pose, tilt, variety)
    points = oriented(pose, tilt, twist)
    for support in _supports(plan, platform, variety):
        centre[support.frames.start : support.frames.stop] = placed(points, support)
    return Motion(
        pose=pose,
        tilt=tilt,
        twist=twist,
        points=points + centre[:, None],
        followed=followed,
        shown=shown,
    )


def _faultless(plan: Plan, variety: Floats) -> tuple[Pose, Floats, Floats]:
    routine = plan.routine
    _, takeoff, flight, entry, splash = plan.stage_starts
    turned, sense = facing(routine)
    armstand = routine.group == "armstand"
    length = entry - flight
    close, opening = flight + 0.22 * length, flight + (0.76 + 0.05 * variety[0]) * length
    if armstand:
        keys: list[tuple[float, dict[str, float]]] = [
            (0, _STRETCHED | {"shoulder": 180, "ankle": 15}),
            (takeoff, {}),
            (takeoff + 0.5 * (flight - takeoff), {"hip": 22, "spine": 6}),
            (flight, {"hip": 0, "spine": 0, "shoulder": 160}),
        ]
    else:
        keys = [
            (0, {"shoulder": 4 + 4 * variety[1], "ankle": 90, "neck": 6}),
            (0.45 * takeoff, {"shoulder": 10, "reach": 8}),
            (takeoff - 2, {"shoulder": 172, "reach": 4, "neck": 0}),
            (takeoff + 0.40 * (flight - takeoff), {
                "hip": 62, "knee": 78, "ankle": 112, "spine": 18, "shoulder": 60}),
            (flight - 1, _STRETCHED | {"hip": 4, "ankle": 25, "reach": 0}),
        ]  # fmt: skip
    if routine.position == "free":
        middle = flight + 0.54 * length
        keys += [
            (flight + 0.16 * length, _SHAPES["straight"]),
            (middle, {}),
            (flight + 0.66 * length, _SHAPES["pike"] | {"reach": 0}),
        ]
        rate_keys = [(flight, 0.6), (middle, 0.8), (flight + 0.68 * length, 1.25)]
        twisting = (flight + 0.12 * length, middle)
    else:
        keys.append((close, _SHAPES[routine.position] | {"reach": 0}))
        rate_keys = [(flight, 0.45), (close, 1.0)]
        twisting = (flight + 0.12 * length, opening)
    keys += [(opening, {}), (entry - 1, _STRETCHED | {"reach": 0}), (plan.frames, {})]
    rate_keys += [(opening, 1.0), (entry, 0.22), (splash, 0.1)]
    pose = keyframes(keys, plan.frames)

    contact = splash - SINK[plan.style]
    rate = np.interp(np.arange(flight - 1, contact + 1), *np.array(rate_keys).T)
    tilt = np.zeros(plan.frames)
    begin, lean = (180.0, 14.0) if armstand else (0.0, 9.0)
    tilt[:flight] = begin + np.interp(
        np.arange(flight), (takeoff, flight - 1), (0, sense * lean * (1 + 0.3 * variety[2]))
    )
    end = begin + sense * 360 * routine.somersaults
    turning = contact - flight + 1
    tilt[flight - 1 : contact + 1] = spin(turning, tilt[flight - 1], end, rate)
    tilt[contact:] = end
    turn = np.clip((np.arange(plan.frames) - twisting[0]) / (twisting[1] - twisting[0]), 0, 1)
    smooth = 0.7 * turn + 0.3 * turn * turn * (3 - 2 * turn)
    return pose, tilt, turned + 360 * routine.twists * smooth


def _supports(plan: Plan, platform: float, variety: Floats) -> tuple[Support, ...]:
    stance = range(0, plan.stage_starts[2])
    edge = -0.06 + 0.03 * variety[3]
    if plan.routine.group == "armstand":
        return (Support(stance, ("hand_l", "hand_r"), still(stance, edge, platform + 0.02)),)
    return (Support(stance, ("toe_l", "toe_r"), still(stance, edge, platform + 0.025)),)


def _path(plan: Plan, points: Floats, platform: float, variety: Floats) -> Floats:
    """Centre of mass of the faultless dive (T, 3)."""
    _, _, flight, _, splash = plan.stage_starts
    contact = splash - SINK[plan.style]
    centre = np.zeros((plan.frames, 3))
    (support,) = _supports(plan, platform, variety)
    centre[:flight] = placed(points, support)
    begin = centre[flight - 1]
    hands = points[contact, [POINT["hand_l"], POINT["hand_r"]]].mean(axis=0)
    end = np.array([begin[0] + 0.85 + 0.2 * variety[4], 0.02 - hands[1], 0.0])
    path, speed = ballistic(begin, end, contact - flight + 1, 0.42 + 0.1 * variety[5])
    centre[flight - 1 : contact + 1] = path
    speed[1] = min(speed[1], -1.5 / SINK[plan.style])
    centre[contact:] = end + np.arange(plan.frames - contact)[:, None] * speed
    centre[splash:] = centre[splash]
    return centre


def _apply_faults(plan: Plan, pose: Pose, tilt: Floats, variety: Floats) -> dict[str, Floats]:
    """Apply the faults of a plan to pose and tilt, in place -> how much each frame shows."""
    _, sense = facing(plan.routine)
    armstand = plan.routine.group == "armstand"
    time = np.arange(plan.frames)

    def shown(kind: str, stage: str, *, rise: int = 4, fall: int = 4) -> Floats:
        inside = envelope(plan.frames, plan.stage_range(stage), rise=rise, fall=fall)
        return plan.severities[kind] * inside

    sway = shown("unsteady_start", "start")
    swing = np.sin(2 * np.pi * time / (11 + 2 * variety[6]) + variety[7])
    tilt += 18 * swing * sway
    flip = -1.0 if armstand else 1.0
    bend(pose, sway * (0.5 + 0.5 * swing), hip=52 * flip, spine=24 * flip, knee=26)
    bend(pose, sway * swing, reach=24, shoulder=0 if armstand else 38)
    bend(pose, sway, reach=12 if armstand else 42)

    weak = shown("weak_takeoff", "take-off", rise=5, fall=3)
    if armstand:
        bend(pose, weak, knee=80, hip=62, elbow=28, spine=12)
    else:
        bend(pose, weak, knee=62, hip=66, spine=24, shoulder=-95, ankle=30)
    tilt += sense * 10 * weak

    knees = shown("bent_knees", "flight")
    bend(pose, knees, knee=104)
    if plan.routine.position == "straight":
        bend(pose, knees, hip=20)
    parted = shown("parted_legs", "flight")
    bend(pose, parted, hip_l=44, hip_r=-40, spread=16)
    loose = shown("loose_position", "flight")
    closed = np.clip(pose["hip_l"] / 128, 0, 1)
    tucked = plan.routine.position == "tuck"
    bend(pose, loose * closed, hip=-52, knee=-42 if tucked else 0)
    bend(pose, loose, shoulder=70 if tucked else -40, reach=50, spine=-26)
    if plan.routine.position == "free":
        bend(pose, loose * (1 - closed), hip=34, elbow=-70)

    over = shown("over_rotation", "entry", rise=5, fall=0)
    under = shown("under_rotation", "entry", rise=5, fall=0)
    tilt += sense * TILT * (over - under)
    crooked = shown("crooked_entry", "entry", rise=5, fall=0)
    bend(pose, crooked, knee_l=85, hip_l=48, knee_r=22, hip_r=-22, spread=14)
    bend(pose, crooked, shoulder_l=-46, reach=20, elbow_r=34)
    return {
        "unsteady_start": sway,
        "weak_takeoff": weak,
        "bent_knees": knees,
        "parted_legs": parted,
        "loose_position": loose,
        "over_rotation": over,
        "under_rotation": under,
        "crooked_entry": crooked,
        "splash": shown("splash", "splash", rise=1, fall=0),
    }
