"""Results that threads compute before they are asked for."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetched(
    compute: Callable[[T], R], items: Iterable[T], *, threads: int = 1, ahead: int = 1
) -> Iterator[R]:
    """The result for each item in order, up to `ahead` of them while the last one is used."""
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(compute, item) for item in itertools.islice(rest, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(compute, item) for item in itertools.islice(rest, 1))
            yield result
