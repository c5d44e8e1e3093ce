"""
The metrics for Prometheus: one registry for each application, base units, few labels.

The rule: no label contains anything that a client sent. Where the values of a label are known, all
series exist from the start: a series that begins with its first event hides it from `rate`.
"""

import math
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from model_store.judging.difficulty import ScoredBy

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_POINTS = (0, 2, 4, 6, 8, 10, 11, 12, 13, 14, 15, 16, 18, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110)

_FAMILIARITY = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)

_OUTCOMES = {
    408: "timeout",
    413: "too_large",
    415: "unsupported",
    429: "overloaded",
    499: "cancelled",
    504: "timeout",
    507: "too_large",
}
_ALL_OUTCOMES = sorted({"ok", "invalid", "error", *_OUTCOMES.values()})
_STAGES = ("upload", "decode", "queue", "inference", "post")


def outcome_of(status: int) -> str:
    """The label that a status counts under in `score_requests_total`."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if status < 400:
        return "ok"
    return "invalid" if status < 500 else "error"


class Metrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str, values: Iterable[str] = ()) -> Counter:
            made = Counter(name, text, labels, registry=registry)
            for value in values:
                made.labels(value)
            return made

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.requests = counter(
            "score_requests_total", "Requests to score, by outcome", "outcome", values=_ALL_OUTCOMES
        )
        self.rejected = counter("score_rejected_total", "Requests refused, by problem", "reason")
        self.dropped = counter(
            "score_dropped_total", "Requests whose client left", "stage", values=("decode", "queue")
        )
        self.decode_failures = counter(
            "score_decode_failures_total", "Clips that did not decode, by problem", "reason"
        )
        self.batches = counter("score_batches_total", "Batches scored")
        self.fragments = counter("score_fragments_total", "Fragments scored")
        self.batch_splits = counter("score_batch_splits_total", "Batches halved after an error")
        self.oom_splits = counter("score_oom_splits_total", "Of these, for lack of device memory")
        self.retries = counter(
            "score_retries_total", "Clips sent to a second score replica, the first being lost"
        )
        self.request_seconds = histogram(
            "score_request_seconds", "From the head of a request to its answer", _SECONDS
        )
        self.stage_seconds = histogram(
            "score_stage_seconds", "Time in each stage of a request", _SECONDS, "stage"
        )
        for stage in _STAGES:
            self.stage_seconds.labels(stage)
        self.batch_clips = histogram("score_batch_clips", "Clips a batch", (1, 2, 4, 8, 16, 32, 64))
        self.batch_fragments = histogram(
            "score_batch_fragments", "Fragments a batch", (6, 9, 18, 36, 72, 144, 288, 576)
        )
        self.output = histogram(
            "score_output",
            "Scores given, points, by what they rest on",
            _POINTS,
            "checkpoint",
            "scored_by",
        )
        self.familiarity = histogram(
            "score_familiarity",
            "Distance from the training clips, as a share of what is still familiar",
            _FAMILIARITY,
            "checkpoint",
        )
        self.cache_lookups = counter(
            "score_cache_lookups_total", "In the result cache", "outcome", values=("hit", "miss")
        )
        self.archived = counter(
            "score_archive_total",
            "Clips kept, and failures of the archive",
            "outcome",
            values=("kept", "failed"),
        )
        self.archive_bytes = gauge("score_archive_bytes", "Bytes of the clips that are kept")
        self.archive_clips = gauge("score_archive_clips", "Clips that are kept")
        self.reloads = counter(
            "score_reloads_total",
            "Reloads of the checkpoints",
            "outcome",
            values=("done", "refused"),
        )
        self.cache_bytes = gauge("score_cache_bytes", "Answers kept in the result cache")
        self.queue_fragments = gauge("score_queue_fragments", "Fragments admitted, not answered")
        self.queue_limit = gauge("score_queue_limit_fragments", "Fragments admitted at most")
        self.queue_clips = gauge("score_queue_clips", "Clips admitted and not yet answered")
        self.inflight_requests = gauge("score_inflight_requests", "Requests to score in flight")
        self.inflight_bytes = gauge("score_inflight_bytes", "Bytes of request bodies held")
        self.decode_workers = gauge("score_decode_workers", "Decode processes alive")
        self.ready = gauge("score_ready", "1 if ready to score")
        self.model_info = gauge(
            "score_model_info", "Checkpoints loaded", "name", "version", "sha256", "engine"
        )
        self.engine_fallbacks = gauge(
            "score_engine_fallbacks",
            "Checkpoints loaded on a slower engine, because a faster one failed",
        )
        Info("score_build", "What is running", registry=registry).info(
            {"version": version("fragment-scorer"), "python": platform.python_version()}
        )

    def expect_scores(self, checkpoint: str) -> None:
        """Create the series of a checkpoint, such as "diving@2"."""
        for scored_by in get_args(ScoredBy):
            self.output.labels(checkpoint, scored_by)
        self.familiarity.labels(checkpoint)

    def watch_device_memory(self, read: Callable[[], tuple[int, int]]) -> None:
        """Report a GPU's memory; `read` gives free and total bytes.

        A GPU that cannot be asked, because it has failed or others occupy it, has none that is
        known: the other metrics must not be lost with it.
        """

        def bytes_of(which: int) -> float:
            try:
                return read()[which]
            except RuntimeError:
                return math.nan

        memory = Gauge(
            "score_gpu_memory_bytes", "Memory of the GPU", ["kind"], registry=self.registry
        )
        memory.labels("free").set_function(lambda: bytes_of(0))
        memory.labels("total").set_function(lambda: bytes_of(1))
