from collections.abc import Mapping

import numpy as np
import pytest

from training.simulator.clip import SimulatedClip, simulate_clip
from training.simulator.faults import FAULTS, Fault
from training.simulator.looks import Camera, Style, draw_looks
from training.simulator.plan import Plan, draw_plan
from training.simulator.seeds import stream

SEED = 44  # its first routines have one fault of their own: most clean clips are the same
STYLES: list[tuple[str, Style]] = [
    ("diving", "plain"),
    ("diving", "broadcast"),
    ("vault", "plain"),
]
EVERY_FAULT = [(action, style, fault) for action, style in STYLES for fault in FAULTS[action]]


class Clips:
    """What several tests look at; of one plan there is one clip, which takes half a second."""

    def __init__(self) -> None:
        self._made: dict[str, SimulatedClip] = {}

    def get(
        self,
        action: str,
        seed: int,
        index: int,
        faults: Mapping[str, float] | None = None,
        style: Style = "plain",
    ) -> SimulatedClip:
        plan = str(draw_plan(action, seed, index, faults=faults, style=style))
        if plan not in self._made:
            self._made[plan] = simulate_clip(action, seed, index, faults=faults, style=style)
        return self._made[plan]


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips()


def shown(action: str, fault: Fault, seed: int) -> int:
    """The first index of a seed whose routine can show the fault."""
    return next(
        i for i in range(99) if draw_plan(action, seed, i).routine.position in fault.positions
    )


@pytest.mark.parametrize(
    ("action", "style", "fault"), EVERY_FAULT, ids=lambda v: getattr(v, "kind", v)
)
def test_a_fault_changes_no_pixel_outside_its_stage(
    action: str, style: Style, fault: Fault, clips: Clips
) -> None:
    index = shown(action, fault, SEED)
    none = dict.fromkeys((fault.kind, *fault.rivals), 0.0)
    clean = clips.get(action, SEED, index, none, style)
    faulty = simulate_clip(action, SEED, index, faults=none | {fault.kind: 0.7}, style=style)
    assert isinstance(clean.plan, Plan)
    stage = clean.plan.stage_range(fault.stage)
    differs = (clean.frames != faulty.frames).any(axis=(1, 2, 3))
    assert not differs[: stage.start].any()
    assert not differs[stage.stop :].any()
    assert differs[stage.start : stage.stop].mean() > 0.6
    # a fault must be seen: a good part of the athlete moves
    change = np.abs(clean.frames[differs].astype(np.int16) - faulty.frames[differs]).max(axis=-1)
    assert (change > 25).mean() > 0.004


@pytest.mark.parametrize("action", ["diving", "vault"])
def test_the_same_seed_gives_the_same_clip(action: str, clips: Clips) -> None:
    first, second = clips.get(action, 9, 3), simulate_clip(action, 9, 3)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.state, second.state)
    other = clips.get(action, 9, 2)
    assert other.frames.shape != first.frames.shape or (other.frames != first.frames).any()


@pytest.mark.parametrize("camera", ["stands", "follows", "cuts"])
def test_an_overridden_camera_leaves_the_routine_alone(camera: Camera, clips: Clips) -> None:
    drawn, fixed = clips.get("diving", 9, 0), simulate_clip("diving", 9, 0, camera=camera)
    assert fixed.plan == drawn.plan
    assert fixed.looks.camera == camera
    assert fixed.looks.skin == drawn.looks.skin


@pytest.mark.parametrize(("action", "style"), STYLES)
def test_the_athlete_is_large_enough_and_stays_in_the_middle(
    action: str, style: Style, clips: Clips
) -> None:
    shares, middle, areas = [], [], []
    for index in range(5):
        clip = clips.get(action, 9, index, style=style)
        assert clip.frames.shape == (clip.plan.frames, 240, 320, 3)
        seen = clip.athlete_share > 0.002
        shares.append(seen.mean())
        areas.append(clip.athlete_share[seen].mean())
        hips = clip.joints[:, 11][~np.isnan(clip.joints[:, 11, 0])]
        middle.append((np.abs(hips - 0.5) < (1 / 3, 4 / 9)).all(axis=1).mean())
    assert min(areas) > 0.02
    assert max(areas) < 0.10
    assert (0.035 if style == "plain" else 0.025) < np.mean(areas) < 0.075
    assert min(shares) > 0.6
    assert min(middle) > 0.85  # what a square crop of the picture still shows


def test_tracks_tell_what_is_to_be_seen() -> None:
    clip = simulate_clip("diving", 9, 0, faults={"bent_knees": 0, "splash": 0.8}, code="407B")
    bent = simulate_clip("diving", 9, 0, faults={"bent_knees": 1, "splash": 0.8}, code="407B")
    assert isinstance(clip.plan, Plan)
    assert clip.joints.shape == (clip.plan.frames, 17, 2)
    assert clip.state.shape == (clip.plan.frames, len(clip.state_names))
    inside = clip.joints[~np.isnan(clip.joints)]
    assert inside.min() >= 0
    assert inside.max() <= 1
    middle = clip.plan.stage_range("flight")[len(clip.plan.stage_range("flight")) // 2]
    knee = clip.state_names.index("knee_flexion")
    assert bent.state[middle, knee] - clip.state[middle, knee] == pytest.approx(104 / 150, abs=0.01)
    assert bent.state[middle, clip.state_names.index("fault_bent_knees")] == 1
    splash = clip.plan.stage_range("splash")
    under = clip.state[splash.start + 2]
    assert np.isnan(under[knee])
    assert under[clip.state_names.index("fault_splash")] == pytest.approx(0.8)
    values = clip.state[~np.isnan(clip.state)]
    assert np.abs(values).max() < 1.6


def test_a_mirrored_clip_swaps_left_and_right(clips: Clips) -> None:
    looks = (draw_looks("vault", stream(9, i, "looks")) for i in range(20))
    clip = clips.get("vault", 9, next(i for i, each in enumerate(looks) if each.mirrored))
    assert clip.looks.mirrored
    assert isinstance(clip.plan, Plan)
    run = clip.plan.stage_range("start")
    hip = clip.joints[run, 11:13, 0].mean(axis=1)
    speed = clip.state[run, clip.state_names.index("tilt_sin")]
    assert speed.mean() < 0  # leans to the left, the way it runs
    assert np.isfinite(hip).all()


def test_a_dive_in_a_broadcast_is_the_same_routine_in_fewer_frames() -> None:
    plain, broadcast = (
        [draw_plan("diving", 6, i, style=style) for i in range(40)]
        for style in ("plain", "broadcast")
    )
    assert [p.score for p in plain] == [p.score for p in broadcast]
    assert [p.severities for p in plain] == [p.severities for p in broadcast]

    def flight(plan: Plan) -> int:
        return plan.stage_starts[3] - plan.stage_starts[1]

    assert 35 <= np.median([flight(p) for p in broadcast]) <= 52  # of real dives 38 to 47
    assert np.median([flight(p) for p in plain]) > 54


def test_a_vault_is_in_no_broadcast() -> None:
    with pytest.raises(ValueError, match="vault is not simulated as broadcast, only diving"):
        simulate_clip("vault", 1, 1, style="broadcast")
