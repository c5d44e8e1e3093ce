"""
The scoring backend: whoever loads checkpoints and scores prepared clips with them.

`LocalBackend` does it in this process, `service.cluster` has one that sends clips to replicas. The
service is given a factory for one and knows no other way to score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_store.score import Score
from service.metrics import Metrics
from service.scoring.checkpoints import LoadedCheckpoint

Clip = NDArray[np.uint8]
"""Prepared, (T, H, W, 3)."""


@dataclass(frozen=True, slots=True)
class TimedScore:
    score: Score
    queue_s: float
    """From submission until its batch ran."""
    inference_s: float
    """Of the whole batch."""
    batch_clips: int
    """In that batch."""


class ScoringBackend(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None:
        """Fail what still waits. Blocks."""

    @property
    def alive(self) -> bool: ...

    async def load(self, reference: str) -> LoadedCheckpoint:
        """Make a published version ready to score with.   Raises `model_store`'s errors."""

    async def score(self, loaded: LoadedCheckpoint, clip: Clip, client: str) -> TimedScore:
        """One prepared clip, with others if others wait; clients in turn. Cancel it to leave."""


class MakeBackend(Protocol):
    """A factory for the backend of one service, which it reports to."""

    def __call__(
        self,
        *,
        metrics: Metrics,
        on_done: Callable[[int], None],
        on_failure: Callable[[], None],
    ) -> ScoringBackend:
        """`on_done` gets the number of fragments that were scored; `on_failure` is called, on any
        thread, once nothing can be scored any more."""
