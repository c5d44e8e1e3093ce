"""
The judged clips of a run: read, decoded, and split into training and validation.

Only the training split of a data set is ever decoded here; the test split is for `evaluate`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.network_spec import Target
from model_store.spec import ClipSpec
from training.cache import ClipCache, open_cache
from training.datasets.annotations import JudgedClip
from training.datasets.kinds import Kind
from training.errors import DataError
from training.file_times import FileTimes
from training.judged_clips import open_clips
from training.known_scores import KnownScores
from training.pairs import leaders
from training.targets import FragmentTargets

CACHE = ".cache"  # below the first data set folder


@dataclass(frozen=True)
class Material:
    spec: ClipSpec
    clips: list[JudgedClip]
    cache: ClipCache
    judged: NDArray[np.float32]
    """(N,) points: what the network is to predict."""
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    leader: NDArray[np.int64]
    """(N,): of the faulty clip of a counterfactual pair the clean one, else the clip itself."""

    @functools.cached_property
    def targets(self) -> FragmentTargets:
        return FragmentTargets.read(self.spec, self.clips, self._times)

    @functools.cached_property
    def known(self) -> KnownScores:
        return KnownScores.read(self.spec, self.clips, self._times, self.training)

    @property
    def _times(self) -> list[FileTimes]:
        return [self.cache.times(index) for index in range(len(self.clips))]

    @property
    def mean(self) -> float:
        """Of the training clips, points."""
        return float(self.judged[self.training].mean())

    @property
    def deviation(self) -> float:
        return float(self.judged[self.training].std())


def open_material(
    folders: tuple[str, ...],
    spec: ClipSpec,
    *,
    kind: str = Kind.annotations,
    target: Target = "final",
    validation: float,
    seed: int,
    fold: tuple[int, int] | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Material:
    """Read, decode what is not cached, and split by seed.   Raises DataError.

    Kept for validation is a share, or of `fold` (i, k) the i-th of k parts that make up the whole.
    """
    clips = open_clips(kind, folders, spec, "train")
    judged = np.array([judged_value(clip, target) for clip in clips], np.float32)
    order = np.random.default_rng([seed, len(clips)]).permutation(len(clips))
    kept = order[: round(validation * len(clips))] if fold is None else order[fold[0] :: fold[1]]
    leader = leaders(clips)
    kept = np.flatnonzero(np.isin(leader, kept))  # a pair stays together
    training = np.setdiff1d(order, kept)
    if min(len(kept), len(training)) < 2:
        raise DataError(
            f"{len(clips)} training clips, {len(kept)} of them for validation: need at least 2 each"
        )
    decoded = open_cache(
        [clip.source for clip in clips],
        spec,
        cache or Path(folders[0]) / CACHE,
        progress=progress,
    )
    return Material(spec, clips, decoded, judged, training, kept, leader)


def judged_value(clip: JudgedClip, target: Target) -> float:
    if target == "final":
        return clip.score
    if clip.execution is None:
        raise DataError(f"{clip.path.name} has no execution, need it for the target execution")
    return clip.execution
