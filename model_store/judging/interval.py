"""The interval in which the judged score is expected."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the judged score is expected, points, for a share `coverage` of such clips."""

    low: float
    high: float
    coverage: float

    def scaled(self, factor: float, term: float) -> "Interval":
        """The interval of factor × score + term."""
        return replace(self, low=self.low * factor + term, high=self.high * factor + term)

    def widened(self, points: float) -> "Interval":
        """The interval of a score that may have moved by so many points.

        The move and the score's own error have nothing to do with each other, so their squares add.
        """
        middle = (self.low + self.high) / 2
        half = math.hypot((self.high - self.low) / 2, points)
        return replace(self, low=middle - half, high=middle + half)
