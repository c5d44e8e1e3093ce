"""
Whose work is next: that of the client who has had the least time, as fair queueing has it.

The rule: a client counts by the seconds that its work takes, so a few costly clips weigh as much as
many cheap ones; whoever had nothing to do for a while has saved up nothing.

[SFQ] Goyal, Vin, Cheng: Start-time fair queueing, SIGCOMM 1996
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Client:
    seconds: float
    """That its work has taken; without the part of what runs now that is after the clock's 0."""
    running: int = 0
    present: int = 0


class Turns:
    """Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clients: dict[str, _Client] = {}

    def enter(self, client: str) -> None:
        """A piece of work of this client waits, or begins."""
        if client not in self._clients:
            least = min(map(self.seconds_of, self._clients), default=0.0)
            self._clients[client] = _Client(least)
        self._clients[client].present += 1

    def leave(self, client: str) -> None:
        """A piece of work that has entered is done, or given up."""
        self._clients[client].present -= 1
        if not self._clients[client].present:
            del self._clients[client]

    def begin(self, client: str) -> None:
        """Work of a client that is present is done from now on; the time counts as it passes."""
        self._clients[client].running += 1
        self._clients[client].seconds -= self._clock()

    def end(self, client: str) -> None:
        """Work that began is done no more."""
        self._clients[client].running -= 1
        self._clients[client].seconds += self._clock()

    def running(self, client: str) -> int:
        """How much work of a client is done now, in pieces."""
        return self._clients[client].running if client in self._clients else 0

    def seconds_of(self, client: str) -> float:
        """That a client which is present has had, counted from those that were here before it.

        The smallest is next.
        """
        account = self._clients[client]
        return account.seconds + account.running * self._clock()
