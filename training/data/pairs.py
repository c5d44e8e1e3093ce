"""
Counterfactual pairs among the training clips: alike but for one fault.

Two independent clips differ in many things besides a fault; within a pair the difference of the
scores is what the fault costs, and nothing else. A clean clip may have several faulty ones: then
they are a ladder of rising severity.

The rule: the clips of a ladder are on the same side of the validation split, lie in the same
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
    """(N,): of a faulty clip of a pair the index of the clean one, of any other clip its own.

    Pairs are those of `simulate --pairs`, by the columns `pair` and `role`. Raises DataError.
    """
    found: dict[tuple[object, str], list[int]] = {}
    for index, clip in enumerate(clips):
        if pair := clip.columns.get("pair"):
            found.setdefault((clip.path.parent, pair), []).append(index)
    result = np.arange(len(clips))
    for (folder, pair), members in found.items():
        roles = sorted(clips[index].columns.get("role", "") for index in members)
        if roles.count("clean") != 1 or {*roles} != {"clean", "faulty"}:
            raise DataError(
                f"pair {pair} of {folder} has the roles {roles}, need one clean and others faulty"
            )
        clean = next(index for index in members if clips[index].columns["role"] == "clean")
        result[members] = clean
    return result


def shuffled(random: np.random.Generator, clips: Indices, leader: Indices) -> Indices:
    """`clips` in a random order in which faulty ones follow their clean one."""
    own = leader[clips]
    firsts = random.permutation(clips[own == clips])
    if len(firsts) == len(clips):
        return firsts
    place = np.empty(len(leader), np.int64)
    place[firsts] = np.arange(len(firsts))
    return clips[np.lexsort((own != clips, place[own]))]


def divided(order: Indices, count: int, leader: Indices) -> list[Indices]:
    """Clips in the order of `shuffled` in `count` parts of about equal size.

    No ladder is parted, so that sizes differ by at most a ladder's. Raises DataError where a part
    is too small to hold one.
    """
    begins = np.append(np.flatnonzero(leader[order] == order), len(order))
    wanted = np.arange(1, count) * len(order) / count
    after = np.searchsorted(begins, wanted)
    before = np.maximum(after - 1, 0)
    nearer = np.where(wanted - begins[before] < begins[after] - wanted, before, after)
    parts = np.split(order, begins[nearer])
    if not all(map(len, parts)):
        raise DataError(
            f"{len(order)} clips in {count} batches, which are too small to hold counterfactual"
            " pairs whole"
        )
    return parts
