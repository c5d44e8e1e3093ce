"""
Tracing: what is reported of a request to those who follow it through several services.

The rule: without SCORING_OTEL nothing is done here and the OpenTelemetry SDK is not even loaded;
with it, `service.otel` does the work.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.problem_kinds import Kind

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from service.scoring.backend import TimedScore
    from service.scoring.checkpoints import LoadedCheckpoint

SPANS_THREAD = "spans"
"""It sends the last spans when the service stops, and may wait for a collector that is silent."""


class TracingError(Exception):
    """Tracing is switched on and cannot be: the extra is missing, or a variable makes no sense."""


@dataclass(slots=True)
class ClipTimes:
    """When the stages of one clip began, in seconds of the monotonic clock."""

    entered: float = field(default_factory=time.monotonic)
    """Since then it waits for a decoder."""
    decode_began: float | None = None
    decode_ended: float | None = None
    """Since then it waits for the engine, or is scored."""
    zero_ns: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns())
    """Time of day when that clock was at 0: taken once, so one stage ends as the next begins."""

    @property
    def stage(self) -> str:
        """As `score_dropped_total` counts it: a wait for a decoder belongs to `decode`."""
        return "decode" if self.decode_ended is None else "queue"

    @property
    def decoder_wait_s(self) -> float:
        """How long it waited for a decoder, until one was found that decoded it."""
        return 0.0 if self.decode_began is None else self.decode_began - self.entered

    def time_of_day_ns(self, time_s: float) -> int:
        """Of a time on the monotonic clock: nanoseconds since 1970."""
        return self.zero_ns + round(1e9 * time_s)

    def decoder_found(self) -> None:
        """It may be called again: a clip may have to begin anew with another decoder."""
        self.decode_began = time.monotonic()

    def decoded(self, seconds: float) -> None:
        """The clip is decoded, and `seconds` is what its last decoder took."""
        self.decode_ended = time.monotonic()
        self.decode_began = self.decode_ended - seconds


class Tracing:
    """Does nothing: tracing is off."""

    provider: "TracerProvider | None" = None

    def request_id(self, request_id: str) -> None:
        """Put the id on the span of the current request."""

    def problem(self, kind: Kind) -> None:
        """Put a problem on the span of the current request, unless that has ended."""

    def clip_scored(
        self, times: ClipTimes, checkpoint: "LoadedCheckpoint", scored: "TimedScore"
    ) -> None:
        """Report the stages of a clip, below the span of the current request."""

    def clip_failed(self, times: ClipTimes, checkpoint: "LoadedCheckpoint", kind: Kind) -> None:
        """Report the stages of a clip up to its failure, which the last of them shows."""

    def stop(self) -> None:
        """Send what is left, within a few seconds. Blocks."""


OFF = Tracing()


def start_tracing(*, enabled: bool) -> Tracing:
    """Tracing as OpenTelemetry's own environment variables have it.   Raises TracingError."""
    if not enabled:
        return OFF
    try:
        from service import otel
    except ModuleNotFoundError as error:
        raise TracingError(
            f"SCORING_OTEL: {error.name} is missing, which the extra brings:"
            " pip install 'fragment-scorer[otel]'"
        ) from error
    return otel.start()
