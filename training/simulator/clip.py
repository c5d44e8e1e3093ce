"""
One simulated clip: plan, motion, looks and camera put together into frames and ground truth.

Rule: of two clips that differ in one fault alone, every frame outside its stage is identical.
Shapes: T frames, H W pixels, S state values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.simulator.camera import Shot, diving_shots, vault_shots
from training.simulator.diving_motion import SINK, diving_motion
from training.simulator.looks import HEIGHT, WIDTH, Camera, Looks, Pixels, draw_looks
from training.simulator.motion import Motion
from training.simulator.plan import Plan, draw_plan
from training.simulator.rasterise import BodyPainter
from training.simulator.recording import Recording
from training.simulator.scenery import paint
from training.simulator.seeds import stream
from training.simulator.spray import Spray
from training.simulator.state import coco_joints, describe_state
from training.simulator.vault_motion import vault_motion

ENTRY_FOAM = 0.10  # size of the foam around the hands, before the splash itself


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClip:
    plan: Plan
    looks: Looks
    frames: Pixels
    """(T, 240, 320, 3) RGB, before encoding."""
    joints: NDArray[np.float32]
    """(T, 17, 2) COCO joints, 0…1 right and down; NaN where not in the picture."""
    state: NDArray[np.float32]
    """(T, S) what is to be seen of the athlete; NaN where nothing is."""
    state_names: tuple[str, ...]
    athlete_share: NDArray[np.float32]
    """(T,) share of the picture that the athlete covers."""


def simulate_clip(
    action: str,
    seed: int,
    index: int,
    *,
    faults: Mapping[str, float] | None = None,
    code: str | None = None,
    camera: Camera | None = None,
) -> SimulatedClip:
    """Clip `index` of `seed`; overrides replace severities by kind, the routine, the camera.

    Everything that is not overridden stays as it is drawn from the seed.
    """
    plan = draw_plan(action, seed, index, faults=faults, code=code)
    looks = draw_looks(action, stream(seed, index, "looks"), camera=camera)
    rng = stream(seed, index, "motion")
    if action == "diving":
        motion = diving_motion(plan, looks.platform, rng)
        shots = diving_shots(looks, motion.followed, plan.stage_starts, rng)
    else:
        motion = vault_motion(plan, rng)
        shots = vault_shots(looks, motion.followed, plan.stage_starts, rng)
    frames, pixels, share = _film(plan, looks, motion, shots)
    seen = share > 0.002
    joints = coco_joints(plan, motion, pixels, seen, mirrored=looks.mirrored)
    state, names = describe_state(plan, motion, seen, mirrored=looks.mirrored)
    return SimulatedClip(
        plan=plan,
        looks=looks,
        frames=frames,
        joints=joints,
        state=state,
        state_names=names,
        athlete_share=share,
    )


def _film(
    plan: Plan, looks: Looks, motion: Motion, shots: list[Shot]
) -> tuple[Pixels, NDArray[Any], NDArray[np.float32]]:
    """-> frames (T, H, W, 3), points in the picture (T, J, 3) before mirroring, share (T,)."""
    body = BodyPainter(looks)
    recording = Recording(looks, plan.frames, stream(plan.seed, plan.index, "noise"))
    spray = _Water(plan, motion) if plan.action == "diving" else None
    frames = np.empty((plan.frames, HEIGHT, WIDTH, 3), np.uint8)
    pixels = np.empty((*motion.points.shape[:2], 3))
    share = np.zeros(plan.frames, np.float32)
    for shot in shots:
        backdrop = paint(plan.action, shot, looks, stream(plan.seed, plan.index, "scene"))
        origin = np.array(shot.bounds()[:2])
        before = shot.corners[0]
        for t, corner in zip(shot.frames, shot.corners, strict=True):
            frame = recording.pan(backdrop, corner - origin, before - origin)
            before = corner
            pixels[t] = shot.view.project(motion.points[t])
            pixels[t, :, :2] -= corner
            surface = motion.points[t, :, 1] if spray else np.ones(pixels.shape[1])
            covered = body.draw(frame, pixels[t], shot.view.zoom, surface)
            share[t] = covered / (WIDTH * HEIGHT)
            if spray:
                spray.draw(frame, shot, corner, t)
            frames[t] = recording.finish(frame, t)
    return frames, pixels, share


class _Water:
    """What a dive does to the water: a little foam at the hands, then the splash of its stage."""

    def __init__(self, plan: Plan, motion: Motion) -> None:
        rng = stream(plan.seed, plan.index, "spray")
        self._splash = plan.stage_starts[4]
        self._contact = self._splash - SINK
        place = motion.followed[self._contact] * (1, 0, 1)
        self._foam, self._spray = Spray(place, rng), Spray(place, rng)
        self._size = plan.severities["splash"]

    def draw(self, frame: Pixels, shot: Shot, corner: NDArray[np.int64], t: int) -> None:
        if t >= self._contact:
            self._foam.draw(frame, shot.view, corner, t - self._contact, ENTRY_FOAM)
        if t >= self._splash:
            self._spray.draw(frame, shot.view, corner, t - self._splash + 1, self._size)
