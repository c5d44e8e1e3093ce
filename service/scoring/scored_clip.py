"""A clip to score, and what comes of it: plain data, whoever asks and whoever scores."""

from dataclasses import dataclass
from typing import BinaryIO

from model_store.assessment import Assessment
from service.scoring.checkpoints import LoadedCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipToScore:
    """An uploaded file, and how it is to be scored."""

    upload: BinaryIO
    checkpoint: LoadedCheckpoint
    client: str
    """Who sent it: clients are served in turn."""
    received: float
    """When the request for it began, on the monotonic clock."""
    difficulty: float | None = None
    start_s: float | None = None
    """Where the routine begins and ends, seconds of the file."""
    end_s: float | None = None
    find: bool = False
    """Whether the routine is to be found between these times."""
    wants_fragment_jpegs: bool = False
    """Also give a JPEG of each fragment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeconds:
    """Seconds that one clip took."""

    decode: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    """Of the whole batch."""
    total: float
    """Since the request began, so it holds the upload too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredClip:
    assessment: Assessment
    engine: str
    stage_seconds: StageSeconds
    is_repeated: bool = False
    """Whether the assessment was found in the result cache."""
    fragment_jpegs: list[str | None] | None = None
    """K base64 JPEGs, None for a blank fragment; None if they were not asked for."""
