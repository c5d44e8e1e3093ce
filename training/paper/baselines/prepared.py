"""
Clips as a network sees them, decoded once and kept where `train` and `report` keep theirs.

Shapes: T frames, H W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.clip import prepare
from model_store.spec import ClipSpec
from training.data.cache import ClipCache, open_cache
from training.data.datasets.annotations import JudgedClip
from training.data.split import Indices


@dataclass(frozen=True, slots=True)
class PreparedClips:
    """A sequence: the frames of a clip are read when they are asked for."""

    places: Sequence[tuple[ClipCache, int]]
    """Of each clip the cache that has it, and its row there."""
    spec: ClipSpec

    @classmethod
    def of(
        cls,
        parts: Sequence[Sequence[JudgedClip]],
        spec: ClipSpec,
        folder: Path,
        progress: Callable[[int, int], None],
    ) -> "PreparedClips":
        """Those of all parts, each with a cache of its own below `folder`.

        Raises DataError, naming the clip, where one cannot be used.
        """
        caches = [
            open_cache([clip.source for clip in part], spec, folder, progress=progress)
            for part in parts
        ]
        return cls([(cache, row) for cache in caches for row in range(len(cache))], spec)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return map(self.__getitem__, range(len(self)))

    def of_rows(self, rows: Indices) -> "PreparedClips":
        return PreparedClips([self.places[row] for row in rows], self.spec)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """(T, H, W, 3)"""
        cache, row = self.places[number]
        return prepare(cache.decoded(row), self.spec)
