"""
Which clips a run learns from when it is to learn from a few of those it could.

The rule: that depends on the seed and on the clips' units alone. The clips of a smaller number are
among those of a larger, so that a learning curve shows what further clips are worth.

Shapes: N clips, n of them on the training side.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Subset:
    clips: int
    """How many to learn from."""
    seed: int

    def of(self, training: Indices, unit_names: Sequence[str]) -> Indices:
        """So many of the training side: (n,) and the units of all clips (N,) -> indices, in order.

        Units stay whole: of the last one there may be more clips than were asked for. Raises
        DataError where there are fewer.
        """
        if self.clips > len(training):
            raise DataError(
                f"{self.clips} clips are to be learned from, but there are {len(training)}"
            )
        order = sorted(training.tolist(), key=lambda clip: self._place(unit_names[clip]))
        last = unit_names[order[self.clips - 1]]
        end = self.clips
        while end < len(order) and unit_names[order[end]] == last:
            end += 1
        return np.array(sorted(order[:end]), np.int64)

    def _place(self, unit: str) -> tuple[str, str]:
        """Where a unit comes among all."""
        return hashlib.sha256(f"{self.seed} {unit}".encode()).hexdigest(), unit
