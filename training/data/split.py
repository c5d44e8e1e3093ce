"""
On which side of the validation split a clip is.

The rule: that depends on the clips' groups and bytes, and on what the weights that a run starts
from have seen; never on their order, names, folders or on a seed. A clip is in a share by itself,
whatever else is there, so a share is as asked for on average only: a tenth of 100 clips is 10, give
or take 3. Folds are dealt instead, so that they are of equal size, and dealt anew for other clips.

Clips that must be on one side make a unit: those of one group, of the same bytes, of one
counterfactual pair, and clips tied to one of these in turn.

Shapes: N clips, U units.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold

from model_store.card import HASH_DIGITS, ClipsCard, TrainedOn
from training.data.datasets.drawn_split import place_of
from training.errors import DataError

Indices = NDArray[np.int64]

FEWEST = 2  # clips on each side: one alone cannot be ranked


@dataclass(frozen=True, slots=True)
class Origin:
    """What the weights of a run start from: a checkpoint, or an extractor's file."""

    name: str
    clips: ClipsCard
    trained_on: TrainedOn | None = None
    """None where it is not known, as for an extractor's file."""


@dataclass(frozen=True, slots=True)
class Sides:
    training: Indices
    validation: Indices
    notes: tuple[str, ...]
    """What a user must know of the clips that the origin has seen."""


def name_units(
    groups: Sequence[str | None], hashes: Sequence[str], leader: Indices | None = None
) -> list[str]:
    """(N,): the name of each clip's unit, which does not depend on clips outside the unit.

    `leader` is as `pairs.leaders` gives it.
    """
    ties = [
        {f"clip {digest}"} if group is None else {f"clip {digest}", f"a group {group}"}
        for group, digest in zip(groups, hashes, strict=True)
    ]
    place = {tie: n for n, tie in enumerate(sorted(set().union(*ties)), len(ties))}
    edges = [(clip, place[tie]) for clip, names in enumerate(ties) for tie in names]
    if leader is not None:
        edges += list(enumerate(leader.tolist()))
    size = len(ties) + len(place)
    graph = coo_array((np.ones(len(edges)), np.transpose(edges)), shape=(size, size))
    of = connected_components(graph, directed=False)[1][: len(ties)]
    # The first name of all: that of a group where there is one, so that a copy of one of its
    # clips that comes without the group does not give the group another name.
    first: dict[int, str] = {}
    for unit, names in zip(of, ties, strict=True):
        first[unit] = min(*names, first.get(unit, "clips"))
    return [first[unit] for unit in of]


def divide(
    unit_names: Sequence[str],
    hashes: Sequence[str],
    *,
    share: float | None,
    fold: tuple[int, int] | None = None,
    origin: Origin | None = None,
) -> Sides:
    """Keep of (N,) clips the i-th part of k of `fold` (i, k) for validation, or a share, or none.

    A clip that trained the origin is never kept, one that chose its weights is, if there are no
    folds. Raises DataError where a side has fewer than 2 clips, here or in another fold.
    """
    names, of = np.unique(np.array(unit_names), return_inverse=True)  # (U,), (N,)
    place = np.array([place_of(name) for name in names])
    taught, chose = (_units_with(of, among(hashes, role)) for role in _roles(origin))
    count, seen = len(of), int(taught[of].sum())
    if fold is not None:
        free = np.flatnonzero(~taught[of])
        folds = _dealt(free, np.argsort(np.argsort(place))[of[free]], fold[1])
        _check(count, folds, f" in one of {fold[1]} folds", seen, origin)
        validation = folds[fold[0]]
    elif share is not None:
        kept = ((place < share) | chose) & ~taught
        for unit in np.argsort(place):  # of few clips a share may be none
            if kept[of].sum() >= FEWEST:
                break
            kept[unit] = not taught[unit]
        validation = np.flatnonzero(kept[of])
        _check(count, [validation], "", seen, origin)
    else:
        validation = np.arange(0)
    training = np.setdiff1d(np.arange(count), validation)
    return Sides(training, validation, _notes(hashes, training, origin))


def _dealt(clips: Indices, rank: Indices, folds: int) -> list[Indices]:
    """The clips in so many parts, as equal as their units allow: those of one rank (n,) are one."""
    if len(np.unique(rank)) < folds:
        return [clips[:0]] * folds
    parts = GroupKFold(folds).split(clips, groups=rank)
    return [clips[held] for _, held in parts]


def _roles(origin: Origin | None) -> tuple[Sequence[str], Sequence[str]]:
    return ((), ()) if origin is None else (origin.clips.training, origin.clips.validation)


def among(hashes: Sequence[str], role: Sequence[str]) -> NDArray[np.bool_]:
    """(N,): clips that have a role in a `ClipsCard`."""
    known = set(role)
    return np.array([digest[:HASH_DIGITS] in known for digest in hashes], np.bool_)


def _units_with(of: Indices, clips: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(U,): units that have one of the clips (N,)."""
    return np.bincount(of, clips) > 0


def _check(
    clips: int, parts: Sequence[Indices], where: str, taught: int, origin: Origin | None
) -> None:
    """Raises DataError unless each part and its rest are enough to validate and to train."""
    kept = min((len(part) for part in parts), key=lambda size: min(size, clips - size))
    if min(kept, clips - kept) >= FEWEST:
        return
    seen = f"; {taught} of them trained {origin.name} and cannot validate" if origin else ""
    fewer = ", or fewer folds" if where else ""
    raise DataError(
        f"{clips} training clips, {kept} of them for validation{where}: need at least {FEWEST}"
        f" each{seen}. Clips of one group, pair or content stay together: need more of them{fewer}"
    )


def _notes(hashes: Sequence[str], training: Indices, origin: Origin | None) -> tuple[str, ...]:
    if origin is None:
        return ()
    clips = origin.clips
    taught = int(among(hashes, clips.training).sum())
    counts = {
        f"{taught} of {len(hashes)} clips trained {origin.name}: they do not validate": taught,
    }
    chose = int(among(hashes, clips.validation)[training].sum())
    counts[f"{chose} clips chose the weights of {origin.name} and train now"] = chose
    calibrated = int(among(hashes, clips.calibration)[training].sum())
    counts[f"{calibrated} clips calibrated {origin.name} and train now"] = calibrated
    return tuple(note for note, number in counts.items() if number)
