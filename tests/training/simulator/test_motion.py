from typing import Any

import numpy as np
import pytest

from training.simulator.body import POINT, bend, envelope, keyframes, orient, skeleton
from training.simulator.diving_motion import SINK, diving_motion
from training.simulator.motion import Motion, ballistic
from training.simulator.plan import Plan, draw_plan
from training.simulator.routines import routines
from training.simulator.scenery import MAT_HEIGHT, TABLE_HEIGHT
from training.simulator.seeds import stream
from training.simulator.vault_motion import vault_motion

PLATFORM = 4.0


def move(action: str, index: int = 0, **overrides: Any) -> tuple[Plan, Motion]:
    plan = draw_plan(action, 2, index, **overrides)
    rng = stream(2, index, "motion")
    if action == "diving":
        return plan, diving_motion(plan, PLATFORM, rng)
    return plan, vault_motion(plan, rng)


def test_an_upright_body_is_one_height_tall() -> None:
    points = skeleton(keyframes([(0, {"ankle": 90}), (1, {})], 1))[0]
    tallest = points[POINT["head"], 1] - points[POINT["ankle_l"], 1]
    assert tallest + 0.066 + 0.03 == pytest.approx(1.0, abs=0.02)  # crown above, sole below


def test_joints_bend_the_right_way() -> None:
    pose = keyframes([(0, {}), (1, {})], 1)
    bend(pose, np.ones(1), hip=90, knee=90, shoulder=90, spread_l=30)
    points = skeleton(pose)[0]
    thigh = points[POINT["knee_r"]] - points[POINT["hip_r"]]
    shin = points[POINT["ankle_r"]] - points[POINT["knee_r"]]
    arm = points[POINT["wrist_r"]] - points[POINT["shoulder_r"]]
    np.testing.assert_allclose(thigh / np.linalg.norm(thigh), (1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(shin / np.linalg.norm(shin), (0, -1, 0), atol=1e-9)
    np.testing.assert_allclose(arm / np.linalg.norm(arm), (1, 0, 0), atol=1e-9)
    assert points[POINT["knee_l"], 2] > points[POINT["hip_l"], 2]


def test_orientation_by_hand() -> None:
    up, forward = np.array([[[0.0, 1, 0]]]), np.array([[[1.0, 0, 0]]])
    quarter, none = np.array([90.0]), np.array([0.0])
    np.testing.assert_allclose(orient(up, quarter, none)[0, 0], (1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(orient(forward, none, 2 * quarter)[0, 0], (-1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(orient(forward, none, quarter)[0, 0], (0, 0, 1), atol=1e-9)


def test_free_flight_has_constant_gravity_and_the_wanted_rise() -> None:
    begin, end = np.array([0.0, 4.5, 0.0]), np.array([1.0, 0.5, 0.0])
    path, speed = ballistic(begin, end, 50, 0.4)
    second = np.diff(path[:, 1], n=2)
    np.testing.assert_allclose(second, second[0], rtol=1e-6)
    assert path[:, 1].max() == pytest.approx(4.9, abs=0.005)
    np.testing.assert_allclose(path[-1], end)
    assert speed[1] == pytest.approx(path[-1, 1] - path[-2, 1], abs=abs(second[0]))


def test_envelope_is_exactly_zero_outside_its_stage() -> None:
    shape = envelope(30, range(10, 20))
    assert (shape[:10] == 0).all()
    assert (shape[20:] == 0).all()
    assert (shape[10:20] > 0).all()
    assert shape.max() == 1


@pytest.mark.parametrize("code", sorted(routines("diving")))
def test_a_dive_turns_as_its_code_has_it(code: str) -> None:
    plan, motion = move("diving", code=code, faults={"over_rotation": 0, "under_rotation": 0})
    flight, splash = plan.stage_starts[2], plan.stage_starts[4]
    contact = splash - SINK[plan.style]
    turned = abs(motion.tilt[contact] - motion.tilt[0]) / 360
    twisted = abs(motion.twist[contact] - motion.twist[0]) / 360
    assert turned == pytest.approx(plan.routine.somersaults, abs=0.06)
    assert twisted == pytest.approx(plan.routine.twists)
    hands = motion.points[contact, [POINT["hand_l"], POINT["hand_r"]]]
    head_down = motion.points[contact, POINT["pelvis"], 1] > hands[:, 1].max()
    assert head_down
    standing = motion.points[:flight, [POINT["toe_l"], POINT["toe_r"]], 1]
    if plan.routine.group == "armstand":
        standing = motion.points[:flight, [POINT["hand_l"], POINT["hand_r"]], 1]
    np.testing.assert_allclose(standing.mean(axis=1), PLATFORM, atol=0.03)
    assert motion.points[splash, :, 1].max() < 0.05  # nothing of the diver left above the water


@pytest.mark.parametrize("code", sorted(routines("vault")))
def test_a_vault_turns_as_its_code_has_it(code: str) -> None:
    quiet = {"step": 0.0, "hop": 0.0, "fall": 0.0, "deep_knees": 0.0, "bent_arms": 0.0}
    plan, motion = move("vault", code=code, faults=quiet)
    _, _, table, flight, landing = plan.stage_starts
    after = (motion.tilt[-1] - 180) / 360  # the table is passed upside down
    assert after == pytest.approx(plan.routine.somersaults + 0.5, abs=0.01)
    twisted = (motion.twist[-1] - motion.twist[flight]) / 360
    assert twisted == pytest.approx(plan.routine.twists, abs=0.01)
    hands = motion.points[table:flight, [POINT["hand_l"], POINT["hand_r"]]].mean(axis=1)
    np.testing.assert_allclose(hands[:, 1], TABLE_HEIGHT + 0.02, atol=1e-9)
    assert np.abs(hands[:, 0]).max() < 0.1
    feet = motion.points[landing:, [POINT["toe_l"], POINT["toe_r"]]].mean(axis=1)
    assert feet[:, 1] == pytest.approx(MAT_HEIGHT + 0.025, abs=0.06)
    assert np.ptp(feet[:, 0]) < 0.01


@pytest.mark.parametrize("action", ["diving", "vault"])
def test_nobody_jumps_between_frames(action: str) -> None:
    for index in range(12):
        _, motion = move(action, index)
        step = np.linalg.norm(np.diff(motion.followed, axis=0), axis=1)
        assert step.max() < 0.45, (index, int(step.argmax()))
