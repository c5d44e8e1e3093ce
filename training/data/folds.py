"""
The folds of a cross-validation: which clips each of them holds out.

The rule: whatever is measured by so many folds of the same clips, a run of `train --folds` or a
baseline, holds out the same clips in the same fold. That depends on the clips' groups and bytes
alone, and on what the weights that it starts from have seen.

Shapes: N clips.
"""

from collections.abc import Sequence

from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes
from training.data.pairs import leaders
from training.data.split import Origin, Sides, divide, name_units


def by_hash(clips: Sequence[JudgedClip]) -> tuple[list[int], list[str]]:
    """(N,), (N,): the clips in the order in which all results have them, and their hashes in it.

    Raises DataError, naming the clip, where one cannot be read.
    """
    hashes = clip_hashes(clips)
    order = sorted(range(len(clips)), key=lambda n: (hashes[n], clips[n].score, str(clips[n].path)))
    return order, [hashes[n] for n in order]


def units_of(clips: Sequence[JudgedClip], hashes: Sequence[str]) -> list[str]:
    """(N,): the name of each clip's unit, which no split takes apart.   Raises DataError."""
    return name_units([clip.group for clip in clips], hashes, leaders(clips))


def folds_of(
    clips: Sequence[JudgedClip], hashes: Sequence[str], folds: int, origin: Origin | None = None
) -> list[Sides]:
    """For each fold the clips to learn from, and those that it holds out.

    A clip that trained the origin is held out by none. Raises DataError for too few clips.
    """
    units = units_of(clips, hashes)
    return [divide(units, hashes, share=None, fold=(k, folds), origin=origin) for k in range(folds)]
