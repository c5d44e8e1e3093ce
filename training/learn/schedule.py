"""Learning rates over a run, as factors of the largest one."""

import math

from training.learn.run_spec import RunSpec

COSINE_END = 0.01


def rising_factor(step: int, steps: int, warmup: float) -> float:
    """A linear rise over a share `warmup` of the steps, then 1."""
    return min(1.0, (step + 1) / max(1, round(warmup * steps)))


def cosine_factor(step: int, steps: int, *, warmup: float, end: float = 0.0) -> float:
    """A linear rise over a share `warmup` of the steps, then a cosine down to `end`."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return rising_factor(step, steps, warmup)
    progress = (step - rise) / max(1, steps - rise)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


def rate_factor(run: RunSpec, step: int, steps: int) -> float:
    """What both learning rates are multiplied by at a step of a phase."""
    if run.schedule == "steps":
        rise = rising_factor(step, steps, run.warmup)
        return rise * run.decay ** (step // run.decay_every)  # [Li18 §4.2]
    return cosine_factor(step, steps, warmup=run.warmup, end=COSINE_END)
