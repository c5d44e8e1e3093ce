"""
The progress of one clip, reported while it is scored.

    Queued → Decoding (many times) → Scoring
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queued:
    """The clip has its place."""

    ahead: int
    """Fragments of other clips that are inside."""


@dataclass(frozen=True, slots=True)
class Decoding:
    done: int
    """Frames decoded so far."""
    of: int
    """Frames to decode."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """The clip is decoded; it waits for the engine or is in it."""


ProgressEvent = Queued | Decoding | Scoring
OnProgress = Callable[[ProgressEvent], None]
"""Called on the event loop; must not block."""
