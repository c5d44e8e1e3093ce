from typing import Any

import numpy as np
import pytest

from training.simulator.body import POINT
from training.simulator.clip import simulate_clip
from training.simulator.elements import elements
from training.simulator.faults import ELEMENT_FAULTS, Fault
from training.simulator.motion import Motion
from training.simulator.programme import Programme, draw_programme
from training.simulator.seeds import stream
from training.simulator.skating_motion import RINK_LEVEL, skating_motion
from training.simulator.skating_path import HALF_DEPTH, HALF_LENGTH

CODE = "1Lo 1A 2Lo 2A 3Lo 3A 4Lo USp CoSp ChSp"


def skate(index: int = 0, *, code: str = CODE, **faults: Any) -> tuple[Programme, Motion]:
    """Without any fault but those that are given: fall_3 is 3.fall."""
    none = dict.fromkeys(draw_programme(2, index, code=code).severities, 0.0)
    given = {".".join(name.rsplit("_", 1)[::-1]): value for name, value in faults.items()}
    programme = draw_programme(2, index, code=code, faults=none | given)
    return programme, skating_motion(programme, stream(2, index, "motion"))


@pytest.mark.parametrize("code", [c for c, e in elements().items() if e.kind == "jump"])
def test_a_jump_turns_and_rises_as_its_code_has_it(code: str) -> None:
    programme, motion = skate(code=f"{code} USp SSp {code} StSq {code} ChSp")
    item = programme.items[0]
    before, landing = item.core.start - 1, item.core.stop
    path = skate(code=f"{code} USp SSp {code} StSq {code} ChSp")[1].twist
    turned = abs(motion.twist[landing] - motion.twist[before])
    assert turned == pytest.approx(360 * item.element.turns, abs=45)  # and the path's own curve
    assert np.abs(np.diff(path)).max() < 180  # turns can be counted
    lowest = motion.points[..., 1].min(axis=1)
    air = np.flatnonzero(lowest > RINK_LEVEL + 1e-6)
    jumps = [t for i in programme.items if i.element.kind == "jump" for t in i.core]
    assert air.tolist() == jumps
    assert lowest[list(item.core)].max() > 0.1 + 0.08 * item.element.turns


def test_more_turns_are_higher() -> None:
    programme, motion = skate()
    lowest = motion.points[..., 1].min(axis=1)
    tops = [lowest[list(item.core)].max() for item in programme.items[:7]]
    assert tops == sorted(tops)


def test_a_spin_stays_where_it_is_and_a_slow_one_turns_less() -> None:
    programme, motion = skate()
    core = programme.items[7].core
    assert np.ptp(motion.followed[list(core)][:, [0, 2]], axis=0).max() < 1e-9
    turned = abs(motion.twist[core.stop] - motion.twist[core.start - 1])
    slow = skate(slow_8=1.0)[1].twist
    slower = abs(slow[core.stop] - slow[core.start - 1])
    assert turned > 5 * 360
    assert slower < 0.6 * turned


def test_a_travelling_spin_wanders_and_comes_back() -> None:
    programme, motion = skate()
    _, wrong = skate(travelling_8=1.0)
    core = programme.items[7].core
    away = np.linalg.norm((wrong.points - motion.points)[:, POINT["pelvis"]], axis=-1)
    assert away[core.stop - 1] > 0.6
    assert away.argmax() in range(core.stop - 2, core.stop + 2)


def test_a_fall_is_a_fall_and_a_stumble_is_none() -> None:
    programme, motion = skate()
    landed = programme.items[4].core.stop + 4

    def head(m: Motion) -> float:
        return float(m.points[landed, POINT["head"], 1])

    standing = head(motion)
    assert standing > 0.7
    assert head(skate(fall_5=0.9)[1]) < 0.45
    assert 0.3 < head(skate(stumble_5=0.9)[1]) < standing - 0.1


def test_an_under_rotated_jump_is_short_by_a_good_part_of_a_turn() -> None:
    programme, motion = skate()
    _, wrong = skate(under_rotated_5=1.0)
    core = programme.items[4].core
    lacks = np.abs(wrong.twist - motion.twist)
    assert lacks[core.stop] == pytest.approx(170)
    assert lacks[core.start - 1] == 0
    assert lacks[-1] == pytest.approx(0, abs=1e-6)


def test_nobody_leaves_the_rink_or_jumps_between_frames() -> None:
    for index in range(10):
        programme = draw_programme(2, index)
        followed = skating_motion(programme, stream(2, index, "motion")).followed
        assert np.abs(followed[:, 0]).max() < HALF_LENGTH - 3
        assert np.abs(followed[:, 2]).max() < HALF_DEPTH - 1
        step = np.linalg.norm(np.diff(followed[:, [0, 2]], axis=0), axis=1)
        assert step.max() < 0.6
        assert step.mean() > 0.2


@pytest.mark.parametrize("fault", ELEMENT_FAULTS, ids=lambda f: f.kind)
def test_a_fault_moves_nothing_outside_its_element(fault: Fault) -> None:
    number = {"jump": 5, "spin": 9, "glide": 10}[fault.stage]
    programme, clean = skate()
    severity: dict[str, Any] = {f"{fault.kind}_{number}": 0.8}
    _, faulty = skate(**severity)
    differs = (clean.points != faulty.points).any(axis=(1, 2))
    inside = programme.items[number - 1].frames
    assert not differs[: inside.start].any()
    assert not differs[inside.stop :].any()
    assert differs[inside.start : inside.stop].mean() > 0.2
    np.testing.assert_array_equal(clean.followed, faulty.followed)
    assert faulty.shown[fault.kind].max() > 0.7
    assert not clean.shown[fault.kind].any()


def test_of_a_pair_every_other_pixel_is_the_same_and_the_skater_is_well_in_the_picture() -> None:
    clean = simulate_clip("skating", 6, 1, faults={"2.fall": 0.0}, code=CODE)
    faulty = simulate_clip("skating", 6, 1, faults={"2.fall": 0.8}, code=CODE)
    inside = clean.plan.parts["2.1A"]
    differs = (clean.frames != faulty.frames).any(axis=(1, 2, 3))
    assert differs.any()
    assert not differs[: inside.start].any()
    assert not differs[inside.stop :].any()

    assert clean.frames.shape == (900, 240, 320, 3)
    assert 0.015 < clean.athlete_share.mean() < 0.10
    hips = clean.joints[:, 11]
    assert (np.abs(hips - 0.5) < (1 / 3, 4 / 9)).all(axis=1).mean() > 0.95
    values = clean.state[~np.isnan(clean.state)]
    assert np.abs(values).max() < 3
