"""
A time limit for calls that nothing can interrupt, such as one into an engine.

The rule: time counts only while this process runs. The watch counts its own ticks, so that a
process that was stopped, or a machine that slept, is not taken for a call that hangs.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Of one call at a time, on whichever thread."""

    def __init__(self, on_overdue: Callable[[float], None], *, tick_s: float = 1.0) -> None:
        """`on_overdue` is called once, on the watch's thread, with the limit that was passed."""
        self._on_overdue = on_overdue
        self._tick_s = tick_s
        self._limits: list[float] = []  # of the call that runs; a new list for each call
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """The call in the block may take so long."""
        self._limits = [seconds]
        try:
            yield
        finally:
            self._limits = []

    def _work(self) -> None:
        seen, passed_s = self._limits, 0.0
        while not self._stopped.wait(self._tick_s):
            if self._limits is not seen:
                seen, passed_s = self._limits, 0.0
            passed_s += self._tick_s
            if seen and passed_s > seen[0]:
                self._on_overdue(seen[0])
                return
