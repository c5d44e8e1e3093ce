"""
How much memory a GPU has, for the metrics.

The rule: one thread alone asks the driver, which may take its time or never answer; everybody else
gets its last answer at once.
"""

import threading
from collections.abc import Callable

DEVICE_MEMORY_THREAD = "device memory"
EVERY_S = 5.0


def ask_cuda() -> tuple[int, int]:
    import torch  # takes seconds, and is only needed where there is a GPU

    return torch.cuda.mem_get_info()


class DeviceMemory:
    def __init__(
        self, ask: Callable[[], tuple[int, int]] = ask_cuda, *, every_s: float = EVERY_S
    ) -> None:
        """`ask` gives free and total bytes, or raises RuntimeError."""
        self._ask = ask
        self._every_s = every_s
        self._last: tuple[int, int] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=DEVICE_MEMORY_THREAD, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It may still be asking: nobody waits for it."""
        self._stopped.set()

    def last(self) -> tuple[int, int]:
        """Free and total bytes.   Raises RuntimeError if they are not known."""
        if self._last is None:
            raise RuntimeError("the GPU has not answered yet, or cannot be asked")
        return self._last

    def _work(self) -> None:
        while True:
            try:
                self._last = self._ask()
            except RuntimeError:
                self._last = None
            if self._stopped.wait(self._every_s):
                return
