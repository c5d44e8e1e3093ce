"""
Counterfactual pairs among the training clips: alike but for one fault.

Two independent clips differ in many things besides a fault; within a pair the difference of the
scores is what the fault costs, and nothing else.

The rule: the two clips of a pair are on the same side of the validation split, lie in the same
batch and are varied alike, so that the fault is all that differs.

Shapes: N clips, B of them in a batch.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import JudgedClip
from training.errors import DataError

Indices = NDArray[np.int64]


def leaders(clips: Sequence[JudgedClip]) -> Indices:
    """(N,): of the faulty clip of a pair the index of the clean one, of any other clip its own.

    Pairs are those of `simulate --pairs`, by the columns `pair` and `role`. Raises DataError.
    """
    found: dict[tuple[object, str], dict[str, int]] = {}
    for index, clip in enumerate(clips):
        if pair := clip.columns.get("pair"):
            key = (clip.path.parent, pair)
            found.setdefault(key, {})[clip.columns.get("role", "")] = index
    result = np.arange(len(clips))
    for (folder, pair), roles in found.items():
        if roles.keys() != {"clean", "faulty"}:
            raise DataError(
                f"pair {pair} of {folder} has the roles {sorted(roles)}, need clean and faulty"
            )
        result[roles["faulty"]] = roles["clean"]
    return result


def shuffled(random: np.random.Generator, clips: Indices, leader: Indices) -> Indices:
    """`clips` in a random order in which those of a pair are neighbours, from an even place on."""
    faulty = clips[leader[clips] != clips]
    if not len(faulty):
        return random.permutation(clips)
    pairs = np.stack([leader[faulty], faulty], axis=1)
    singles = random.permutation(np.setdiff1d(clips, pairs))
    even = len(singles) // 2 * 2
    twos = np.concatenate([pairs, singles[:even].reshape(-1, 2)])
    return np.concatenate([random.permutation(twos).ravel(), singles[even:]])
