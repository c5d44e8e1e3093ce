"""
Admission: how much work may be inside at once, counted in fragments, and when to come back.

The rule: a place is taken before a clip is decoded and given back on every way out.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import QueueFull
from service.metrics import Metrics

RETRY_AFTER_S = (1, 60)  # the shortest and the longest wait that is asked of a client
RATE_MEMORY_S = 10.0  # of work, after which a rate measured before counts 1/e


class Admission:
    """Thread-safe: places are taken on the event loop, work is done elsewhere."""

    def __init__(
        self, limit: int, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._metrics = metrics
        self._metrics.queue_limit.set(limit)
        self._clock = clock
        self._lock = threading.Lock()
        self._fragments = 0
        self._clips = 0
        self._since = 0.0
        self._rate: float | None = None  # fragments a second, while there is work

    @property
    def fragments(self) -> int:
        return self._fragments

    def require_room(self) -> None:
        """Raises QueueFull if not a single fragment more would be admitted."""
        if self._fragments >= self.limit:
            raise self._full()

    @contextmanager
    def place(self, fragments: int) -> Iterator[None]:
        """Hold a place for one clip.   Raises QueueFull.

        A clip of more fragments than the limit is admitted when nothing else is inside.
        """
        with self._lock:
            if self._fragments and self._fragments + fragments > self.limit:
                raise self._full()
            if not self._fragments:
                self._since = self._clock()
            self._change(fragments, 1)
        try:
            yield
        finally:
            with self._lock:
                self._change(-fragments, -1)

    def done(self, fragments: int) -> None:
        """So many fragments were scored since the last call, or since there was work again."""
        with self._lock:
            now = self._clock()
            seconds = max(now - self._since, 1e-6)
            rate = fragments / seconds
            before = rate if self._rate is None else self._rate
            self._rate = before - math.expm1(-seconds / RATE_MEMORY_S) * (rate - before)
            self._since = now

    def retry_after_s(self) -> int:
        """Seconds until what is inside now will be done, at the measured rate."""
        low, high = RETRY_AFTER_S
        seconds = math.ceil(self._fragments / self._rate) if self._rate else high
        return min(high, max(low, seconds))

    def _full(self) -> QueueFull:
        seconds = self.retry_after_s()
        return QueueFull(
            f"{self._fragments} fragments are waiting, allowed are {self.limit};"
            f" try again in {seconds} s",
            retry_after_s=seconds,
        )

    def _change(self, fragments: int, clips: int) -> None:
        self._fragments += fragments
        self._clips += clips
        self._metrics.queue_fragments.set(self._fragments)
        self._metrics.queue_clips.set(self._clips)
