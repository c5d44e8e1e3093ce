"""
Where every random number of the simulator comes from: children of SeedSequence([seed, index]).

Each concern owns a stream, so that toggling a fault, or fixing a look, changes nothing else.
"""

from typing import Literal, get_args

import numpy as np

Stream = Literal[
    "routine", "timing", "faults", "panel", "looks", "motion", "spray", "noise", "pair", "scene",
    "uncut",
]  # fmt: skip


def stream(seed: int, index: int, name: Stream) -> np.random.Generator:
    """The generator of one concern of clip `index` of `seed`, always at its beginning."""
    root = np.random.SeedSequence([seed, index])
    child = get_args(Stream).index(name)
    return np.random.default_rng(np.random.SeedSequence(root.entropy, spawn_key=(child,)))
