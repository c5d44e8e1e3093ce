"""Learning rates over a run, as factors of the largest one."""

import math


def steps_factor(step: int, decay: float, every: int) -> float:
    """× `decay` every `every` steps.   [Li18 §4.2]"""
    return decay ** (step // every)


def cosine_factor(step: int, steps: int, *, warmup: float, end: float = 0.0) -> float:
    """A linear rise over a share `warmup` of the steps, then a cosine down to `end`."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    progress = (step - rise) / max(1, steps - rise)
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))
