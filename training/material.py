"""
The judged clips of a run: read, decoded, and split into training and validation.

Only the training split of a data set is ever opened here; the test split is for `evaluate`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.network import Target
from model_store.spec import ClipSpec
from training.cache import ClipCache, open_cache
from training.datasets.annotations import JudgedClip
from training.datasets.kinds import Kind, read_clips
from training.errors import DataError
from training.known_scores import KnownScores
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

    @functools.cached_property
    def targets(self) -> FragmentTargets:
        return FragmentTargets.read(self.spec, self.clips, self.cache.lengths)

    @functools.cached_property
    def known(self) -> KnownScores:
        return KnownScores.read(self.spec, self.clips, self.training)

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
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Material:
    """Read, decode what is not cached, and split by seed.   Raises DataError."""
    clips = [clip for folder in folders for clip in read_clips(kind, Path(folder), "train")]
    judged = np.array([judged_value(clip, target) for clip in clips], np.float32)
    count = round(validation * len(clips))
    if count < 2 or len(clips) - count < 2:
        raise DataError(
            f"{len(clips)} training clips, {count} of them for validation: need at least 2 each"
        )
    order = np.random.default_rng([seed, len(clips)]).permutation(len(clips))
    decoded = open_cache(
        [clip.source for clip in clips],
        spec,
        cache or Path(folders[0]) / CACHE,
        progress=progress,
    )
    return Material(spec, clips, decoded, judged, np.sort(order[count:]), np.sort(order[:count]))


def judged_value(clip: JudgedClip, target: Target) -> float:
    if target == "final":
        return clip.score
    if clip.execution is None:
        raise DataError(f"{clip.path.name} has no execution, need it for the target execution")
    return clip.execution
