"""
What is known of every simulated performance before a pixel is drawn, whatever the action.

A performance consists of parts: the stages of a dive or a vault, the elements of a programme.
Every fault belongs to one part, is to be seen in that part alone, and is deducted there.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from training.simulator.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance(ABC):
    action: str
    seed: int
    index: int
    severities: dict[str, float]
    """By kind of fault, 0…1; every kind of the action."""
    deductions: dict[str, float]
    """By part, points of the final score, noise-free."""
    marks: tuple[float, ...]
    execution: float
    score: float
    """As announced: the panel's execution × or + difficulty."""
    perfect_score: float
    frames: int

    @property
    def true_score(self) -> float:
        """What a panel without bias and noise would give."""
        return self.perfect_score - sum(self.deductions.values())

    @property
    @abstractmethod
    def difficulty(self) -> float: ...

    @property
    @abstractmethod
    def title(self) -> str:
        """What is shown, in a few words."""

    @property
    @abstractmethod
    def parts(self) -> dict[str, range]:
        """Frames of every part, in order."""

    @property
    @abstractmethod
    def faults(self) -> tuple[Fault, ...]:
        """All that it can show."""

    @abstractmethod
    def moments(self, count: int) -> list[int]:
        """At most `count` frames, in order, that show best what happens."""

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """The columns of annotations.csv that performances of this action alone have."""
