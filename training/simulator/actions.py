"""What each action brings to the simulator: how it is drawn, moves, and is filmed."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from model_store.spec import SPECS
from training.simulator.camera import Shot, diving_shots, skating_shots, vault_shots
from training.simulator.diving_motion import diving_motion
from training.simulator.looks import Looks, Style, draw_looks
from training.simulator.motion import Motion
from training.simulator.performance import Performance
from training.simulator.plan import Plan, draw_plan
from training.simulator.programme import Programme, draw_programme
from training.simulator.skating_motion import skating_motion
from training.simulator.vault_motion import vault_motion
from training.simulator.water import Water


@dataclass(frozen=True, slots=True)
class Scene:
    motion: Motion
    shots: list[Shot]
    water: Water | None = None


@dataclass(frozen=True, slots=True)
class Act:
    draw: Callable[..., Performance]
    """(seed, index, faults=, code=), see `draw_plan`."""
    look: Callable[..., Looks]
    """(rng, camera=), see `draw_looks`."""
    stage: Callable[[Any, Looks, np.random.Generator], Scene]
    """Of what `draw` gave."""
    fps: Fraction


def _dive(plan: Plan, looks: Looks, rng: np.random.Generator) -> Scene:
    motion = diving_motion(plan, looks.platform, rng)
    shots = diving_shots(looks, motion.followed, plan.stage_starts, rng)
    return Scene(motion, shots, Water(plan, motion))


def _vault(plan: Plan, looks: Looks, rng: np.random.Generator) -> Scene:
    motion = vault_motion(plan, rng)
    return Scene(motion, vault_shots(looks, motion.followed, plan.stage_starts, rng))


def _skate(programme: Programme, looks: Looks, rng: np.random.Generator) -> Scene:
    motion = skating_motion(programme, rng)
    starts = [item.frames.start for item in programme.items]
    return Scene(motion, skating_shots(looks, motion.followed, starts, rng))


def _act(
    action: str,
    draw: Callable[..., Performance],
    stage: Callable[[Any, Looks, np.random.Generator], Scene],
    style: Style = "plain",
) -> Act:
    look = functools.partial(draw_looks, action, style=style)
    return Act(draw, look, stage, SPECS[action].fps)


ACTIONS: dict[Style, dict[str, Act]] = {
    "plain": {
        "diving": _act("diving", functools.partial(draw_plan, "diving"), _dive),
        "vault": _act("vault", functools.partial(draw_plan, "vault"), _vault),
        "skating": _act("skating", draw_programme, _skate),
    },
    "broadcast": {
        "diving": _act(
            "diving", functools.partial(draw_plan, "diving", style="broadcast"), _dive, "broadcast"
        )
    },
}


def act_of(action: str, style: Style = "plain") -> Act:
    """Raises ValueError for an action that there is not in that style."""
    acts = ACTIONS[style]
    if action not in acts:
        raise ValueError(f"{action} is not simulated as {style}, only {', '.join(acts)}")
    return acts[action]
