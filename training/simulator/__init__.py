"""
Simulated dives, vaults and programmes on ice of which every fault and its cost are known.

Of our own packages it imports `model_store` only.
"""

from training.simulator.clip import SimulatedClip, simulate_clip
from training.simulator.dataset import write_dataset
from training.simulator.plan import Plan, draw_plan

__all__ = ["Plan", "SimulatedClip", "draw_plan", "simulate_clip", "write_dataset"]
