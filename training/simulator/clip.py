"""
One simulated clip: plan, motion, looks and camera put together into frames and ground truth.

Rule: of two clips that differ in one fault alone, every frame outside its part is identical.
Shapes: T frames, H W pixels, S state values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.simulator.actions import Scene, act_of
from training.simulator.body import POINT, keyframes
from training.simulator.camera import ParallelView
from training.simulator.looks import HEIGHT, WIDTH, Camera, Looks, Pixels, Style, graded_colour
from training.simulator.motion import oriented
from training.simulator.performance import Performance
from training.simulator.rasterise import BodyPainter
from training.simulator.recording import Recording
from training.simulator.scenery import paint
from training.simulator.seeds import stream
from training.simulator.state import coco_joints, describe_state


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClip:
    plan: Performance
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
    style: Style = "plain",
) -> SimulatedClip:
    """Clip `index` of `seed`; overrides replace severities by kind, the routine, the camera.

    Everything that is not overridden stays as it is drawn from the seed.
    """
    act = act_of(action, style)
    plan = act.draw(seed, index, faults=faults, code=code)
    looks = act.look(stream(seed, index, "looks"), camera=camera)
    scene = act.stage(plan, looks, stream(seed, index, "motion"))
    motion = scene.motion
    frames, pixels, share = render_scene(plan, looks, scene)
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


def render_scene(
    plan: Performance, looks: Looks, scene: Scene
) -> tuple[Pixels, NDArray[Any], NDArray[np.float32]]:
    """-> frames (T, H, W, 3), points in the picture (T, J, 3) before mirroring, share (T,)."""
    body = BodyPainter(looks)
    recording = Recording(looks, plan.frames, stream(plan.seed, plan.index, "noise"))
    motion, water = scene.motion, scene.water
    frames = np.empty((plan.frames, HEIGHT, WIDTH, 3), np.uint8)
    pixels = np.empty((*motion.points.shape[:2], 3))
    share = np.zeros(plan.frames, np.float32)
    for shot in scene.shots:
        backdrop = paint(plan.action, shot, looks, stream(plan.seed, plan.index, "scene"))
        origin = np.array(shot.bounds()[:2])
        before = shot.corners[0]
        for t, corner in zip(shot.frames, shot.corners, strict=True):
            frame = recording.pan(backdrop, corner - origin, before - origin)
            before = corner
            pixels[t] = shot.view.project(motion.points[t])
            pixels[t, :, :2] -= corner
            surface = motion.points[t, :, 1] if water else np.ones(pixels.shape[1])
            covered = body.draw(frame, pixels[t], shot.view.zoom_at(motion.followed[t]), surface)
            share[t] = covered / (WIDTH * HEIGHT)
            if water:
                water.draw(frame, shot, corner, t)
            frames[t] = recording.finish(frame, t)
    for t in range(looks.stale):
        frames[t], share[t] = recording.finish(_close_up(body, looks), t), 0
    return frames, pixels, share


def _close_up(body: BodyPainter, looks: Looks) -> Pixels:
    """An athlete's head and shoulders before a plain wall: a shot that ends as the clip begins."""
    view = ParallelView(75.0, 0.0, 480.0)
    upright = keyframes([(0, {"shoulder": 20, "ankle": 90}), (1, {})], 1)
    pixels = view.project(oriented(upright, np.zeros(1), np.zeros(1))[0])
    pixels[:, :2] += (WIDTH / 2, HEIGHT / 2) - pixels[POINT["head"], :2]
    frame = np.full((HEIGHT, WIDTH, 3), graded_colour(looks.trim, looks), np.uint8)
    body.draw(frame, pixels, view.zoom, np.ones(len(pixels)))
    return frame
