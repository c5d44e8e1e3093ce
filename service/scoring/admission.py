"""
Admission: how much work may be inside at once, counted in fragments, and when to come back.

The rule: a place is taken before a clip is decoded and given back on every way out. One client
cannot take all places.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import QueueFull
from service.metrics import Metrics

RETRY_AFTER_S = (1, 60)  # the shortest and the longest wait that is asked of a client
RATE_MEMORY_S = 10.0  # of work, after which a rate measured before counts 1/e


class Admission:
    """Thread-safe: places are taken on the event loop, work is done elsewhere."""

    def __init__(
        self,
        limit: int,
        metrics: Metrics,
        *,
        client_share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """One client may have `client_share` of the `limit`, in fragments."""
        self.limit = limit
        self._client_limit = client_share * limit
        self._metrics = metrics
        self._metrics.queue_limit.set(limit)
        self._clock = clock
        self._lock = threading.Lock()
        self._fragments = 0
        self._of_client: Counter[str] = Counter()  # fragments
        self._clips = 0
        self._since = 0.0
        self._rate: float | None = None  # fragments a second, while there is work

    @property
    def fragments(self) -> int:
        return self._fragments

    def require_room(self, client: str) -> None:
        """Raises QueueFull if not a single fragment more of this client would be admitted."""
        if self._fragments:
            self._check(1, client)

    @contextmanager
    def place(self, fragments: int, client: str) -> Iterator[None]:
        """Hold a place for one clip.   Raises QueueFull.

        A clip of more fragments than allowed is admitted when nothing else is inside.
        """
        with self._lock:
            if self._fragments:
                self._check(fragments, client)
            else:
                self._since = self._clock()
            self._change(fragments, 1, client)
        try:
            yield
        finally:
            with self._lock:
                self._change(-fragments, -1, client)

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

    def _check(self, fragments: int, client: str) -> None:
        """Raises QueueFull if so many more are too many."""
        own, whose = self._of_client[client], f"{self._fragments} fragments are waiting"
        if self._fragments + fragments <= self.limit:
            if not own or own + fragments <= self._client_limit:
                return
            whose = f"{own} fragments of yours are waiting"
        seconds = self.retry_after_s()
        raise QueueFull(f"{whose}, try again in {seconds} s", retry_after_s=seconds)

    def _change(self, fragments: int, clips: int, client: str) -> None:
        self._fragments += fragments
        self._clips += clips
        self._of_client[client] += fragments
        if not self._of_client[client]:
            del self._of_client[client]
        self._metrics.queue_fragments.set(self._fragments)
        self._metrics.queue_clips.set(self._clips)
