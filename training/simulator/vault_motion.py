"""A vault: run-up, board, hands on the table, somersaults after it, landing on the mat."""

import numpy as np

from training.simulator.body import POINT, Floats, Pose, bend, envelope, keyframes
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
from training.simulator.scenery import BOARD, MAT_HEIGHT, TABLE_HEIGHT

STRIDE = 9.0  # frames of a double step of the run-up
LOW = 0.42  # body heights that the highest point is lower by at severity 1
_STRETCHED: dict[str, float] = {
    "hip": 0, "knee": 0, "shoulder": 176, "elbow": 0, "ankle": 15, "spine": 0, "reach": 0,
}  # fmt: skip
_SHAPES: dict[str, dict[str, float]] = {
    "tuck": {"hip": 125, "knee": 130, "shoulder": 15, "elbow": 62, "spine": 25, "neck": 20},
    "pike": {"hip": 115, "knee": 0, "shoulder": 112, "elbow": 0, "spine": 18, "neck": 10},
    "straight": {"hip": 0, "knee": 0, "shoulder": 45, "elbow": 110, "spine": 0, "reach": 6},
}


def vault_motion(plan: Plan, rng: np.random.Generator) -> Motion:
    """The vault of a plan; the table stands at x = 0, the run comes from negative x."""
    variety = rng.uniform(-1, 1, size=12)
    pose, tilt, twist = _faultless(plan, variety)
    points = oriented(pose, tilt, twist)
    supports = _supports(plan, variety)
    centre = _path(plan, points, supports, variety)
    followed = centre.copy()
    shown, moved = _apply_faults(plan, pose, tilt, variety)
    points = oriented(pose, tilt, twist)
    for support in supports:
        centre[support.frames.start : support.frames.stop] = placed(points, support)
    centre = centre + moved
    sunk = np.minimum((points[..., 1] + centre[:, None, 1]).min(axis=1) - MAT_HEIGHT - 0.02, 0)
    landing = plan.stage_starts[4]
    centre[landing:, 1] -= sunk[landing:]
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
    _, board, table, flight, landing = plan.stage_starts
    length = landing - flight
    close, opening = flight + 0.24 * length, flight + (0.76 + 0.04 * variety[0]) * length
    pose = keyframes(
        [
            (0, {"hip": 15, "knee": 20, "ankle": 60, "spine": 8, "shoulder": 20, "elbow": 80}),
            (board - 8, {"elbow": 60}),
            (board - 3, {"hip": 38, "knee": 42, "ankle": 90, "shoulder": 110, "elbow": 10}),
            (board, _STRETCHED),
            (flight, {}),
            (close, _SHAPES[routine.position]),
            (opening, {}),
            (landing, {"hip": 26, "knee": 22, "shoulder": 105, "elbow": 0, "ankle": 75,
                       "spine": 6, "reach": 18, "neck": 0}),
            (landing + 4, {"hip": 44, "knee": 48, "shoulder": 85, "ankle": 104, "spine": 14}),
            (landing + 13, _STRETCHED | {"ankle": 90, "reach": 14}),
        ],
        plan.frames,
    )  # fmt: skip
    if routine.group != "yurchenko":
        _run(pose, board - 6, variety[1])
    tilt, twist = np.zeros(plan.frames), np.zeros(plan.frames)
    tilt[:board] = np.linspace(14, 6, board)
    turned = 0.0
    if routine.group == "yurchenko":
        turned, round_off = 180.0, max(board - 15, 2)
        _run(pose, round_off, variety[1])
        share = np.clip((np.arange(board) - round_off) / (board - 1 - round_off), 0, 1)
        bend(pose, _hump(plan.frames, round_off, board - 1), shoulder=120, elbow=-50)
        tilt[:board] = 10 - 360 + 350 * share
        twist[:board] = turned * np.clip(share * 1.6 - 0.2, 0, 1)
    tilt[board - 1 : table + 1] = np.linspace(
        tilt[board - 1], 142 + 8 * variety[2], table - board + 2
    )
    tilt[table : flight + 1] = np.linspace(tilt[table], 206, flight - table + 1)
    rate = np.interp(
        np.arange(flight, landing + 1), (flight, close, opening, landing), (0.55, 1.0, 1.0, 0.35)
    )
    end = 360.0 * (1 + routine.somersaults)
    tilt[flight : landing + 1] = spin(length, 206, end - 10, rate)
    tilt[landing:] = end - 10 * np.clip(1 - np.arange(plan.frames - landing) / 7, 0, 1)
    if routine.group == "tsukahara":
        turned = 180.0
        twist[board:] = turned * np.clip(
            (np.arange(board, plan.frames) - board) / (flight - board), 0, 1
        )
    else:
        twist[board:] = turned
    share = np.clip((np.arange(plan.frames) - flight - 1) / (opening + 2 - flight), 0, 1)
    return pose, tilt, twist + 360 * routine.twists * share


def _run(pose: Pose, until: int, phase: float) -> None:
    """Running legs and arms in the frames before `until`."""
    t = np.arange(len(pose["spine"]), dtype=np.float64)
    share = np.clip((until - t) / 3, 0, 1)
    step = 2 * np.pi * (t / STRIDE + phase)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        swing = sign * np.sin(step)
        fold = 0.5 + 0.5 * sign * np.cos(step)
        for name, running in (
            (f"hip_{side}", 26 + 46 * swing),
            (f"knee_{side}", 22 + 82 * fold),
            (f"shoulder_{side}", 4 - 44 * swing),
            (f"elbow_{side}", 85 + 0 * t),
        ):
            pose[name] = pose[name] + share * (running - pose[name])


def _hump(frames: int, begin: int, end: int) -> Floats:
    share = np.clip((np.arange(frames) - begin) / max(end - begin, 1), 0, 1)
    hump: Floats = np.sin(np.pi * share)
    return hump


def _supports(plan: Plan, variety: Floats) -> tuple[Support, ...]:
    _, _, table, flight, landing = plan.stage_starts
    hands, mat = range(table, flight), range(landing, plan.frames)
    place = still(mat, 1.75 + 0.25 * variety[3], MAT_HEIGHT + 0.025)
    since = np.arange(len(mat)) / 1.0
    step = np.clip((since - 2) / 7, 0, 1)
    hop = np.sin(np.pi * np.clip((since - 3) / 8, 0, 1))
    ahead = 1.0 if variety[4] > -0.4 else -1.0
    place[:, 0] += ahead * step * (0.34 * plan.severities["step"] + 0.50 * plan.severities["hop"])
    place[:, 1] += 0.28 * hop * plan.severities["hop"]
    return (
        Support(hands, ("hand_l", "hand_r"), still(hands, 0.05 * variety[5], TABLE_HEIGHT + 0.02)),
        Support(mat, ("toe_l", "toe_r"), place),
    )


def _path(plan: Plan, points: Floats, supports: tuple[Support, ...], variety: Floats) -> Floats:
    """Centre of mass of the faultless vault (T, 3)."""
    _, board, table, flight, landing = plan.stage_starts
    t = np.arange(board, dtype=np.float64)
    centre = np.zeros((plan.frames, 3))
    hands, mat = supports
    steady = Support(
        mat.frames, mat.points, still(mat.frames, 1.75 + 0.25 * variety[3], MAT_HEIGHT + 0.025)
    )
    for support in (hands, steady):
        centre[support.frames.start : support.frames.stop] = placed(points, support)
    speed = 0.15 + 0.01 * variety[6]
    centre[:board, 0] = BOARD + 0.02 - speed * (board - 1 - t)
    feet = points[:board, [POINT["toe_l"], POINT["toe_r"]], 1].min(axis=1)
    bounce = 0.03 * np.abs(np.sin(2 * np.pi * (t / STRIDE + variety[1])))
    hurdle = np.clip((t - (board - 9)) / 8, 0, 1)
    centre[:board, 1] = 0.56 + bounce + 0.12 * hurdle + 0.05 * np.sin(np.pi * hurdle)
    if plan.routine.group != "yurchenko":
        centre[board - 3 : board, 1] = np.maximum(0.11 - feet[board - 3 :], 0.5)
    begin = centre[board - 1].copy()
    path, _ = ballistic(begin, centre[table], table - board + 1, 0.06)
    centre[board - 1 : table + 1] = path
    path, _ = ballistic(
        centre[flight - 1], centre[landing], landing - flight + 1, 0.52 + 0.06 * variety[7]
    )
    centre[flight - 1 : landing + 1] = path
    return centre


def _apply_faults(
    plan: Plan, pose: Pose, tilt: Floats, variety: Floats
) -> tuple[dict[str, Floats], Floats]:
    """Apply the faults to pose and tilt, in place -> how much each frame shows, and (T, 3)
    by which the centre of mass is off its path."""
    _, _, _, flight, landing = plan.stage_starts
    severities, position = plan.severities, plan.routine.position

    def shown(kind: str, stage: str, *, rise: int = 3, fall: int = 3) -> Floats:
        inside = envelope(plan.frames, plan.stage_range(stage), rise=rise, fall=fall)
        return severities[kind] * inside

    parted = shown("parted_preflight", "pre-flight")
    bend(pose, parted, hip_l=46, hip_r=-44, spread=18)
    bent = shown("bent_preflight", "pre-flight")
    bend(pose, bent, knee=95, hip=45)
    arms = shown("bent_arms", "support")
    bend(pose, arms, shoulder=-62, elbow=118)
    piked = shown("piked_support", "support")
    bend(pose, piked, hip=88, spine=14)

    knees = shown("bent_knees", "after-flight")
    bend(pose, knees, knee=104, hip=22 if position == "straight" else 0)
    legs = shown("parted_legs", "after-flight")
    bend(pose, legs, hip_l=46, hip_r=-42, spread=18)
    loose = shown("loose_position", "after-flight")
    closed = np.clip(pose["hip_l"] / 120, 0, 1) if position != "straight" else np.zeros(plan.frames)
    bend(pose, loose * closed, hip=-50, knee=-42 if position == "tuck" else 0)
    bend(pose, loose, shoulder=-40 if position == "pike" else 70, reach=50, spine=-24)
    if position == "straight":
        bend(pose, loose, hip=46, elbow=-60)
    share = np.clip((np.arange(plan.frames) - flight + 1) / (landing - flight + 1), 0, 1)
    lower = severities["low_height"] * 4 * share * (1 - share)
    moved = np.zeros((plan.frames, 3))
    moved[:, 1] = -LOW * lower

    since = np.clip(np.arange(plan.frames) - landing + 1, 0, None) / 1.0
    squat = np.clip(since / 4, 0, 1) * np.clip((20 - since) / 7, 0, 1)
    deep = severities["deep_knees"] * squat
    bend(pose, deep, knee=72, hip=72, spine=24, shoulder=-40, ankle=24)
    stride = np.clip((since - 2) / 4, 0, 1)
    step = severities["step"] * stride
    ahead = 1.0 if variety[4] > -0.4 else -1.0
    bend(pose, step, hip_l=44, hip_r=-26, knee_l=16, shoulder=-45)
    hop = severities["hop"] * np.clip((since - 3) / 8, 0, 1) * np.clip((14 - since) / 3, 0, 1)
    bend(pose, hop, knee=46, hip=52, shoulder=-70)
    tilt += ahead * 14 * hop
    down = severities["fall"] * np.clip((since - 3) / 8, 0, 1)
    bend(pose, down, knee=70, hip=62, shoulder=-60, spine=20)
    tilt += ahead * 84 * down
    return {
        "parted_preflight": parted,
        "bent_preflight": bent,
        "bent_arms": arms,
        "piked_support": piked,
        "low_height": lower,
        "bent_knees": knees,
        "parted_legs": legs,
        "loose_position": loose,
        "deep_knees": deep,
        "step": step,
        "hop": severities["hop"] * np.clip((since - 2) / 4, 0, 1),
        "fall": down,
    }, moved
