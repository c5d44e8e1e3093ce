"""Scorers of clips that are one number, and a batcher to give them to."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from model_store.score import Score
from service.metrics import Metrics
from service.scoring.backend import Clip
from service.scoring.batcher import Batcher


class Brightness:
    """Scores a clip by its first pixel, remembers its batches, and fails on request."""

    def __init__(self, fail: Callable[[list[int]], None] = lambda values: None) -> None:
        self.batches: list[list[int]] = []
        self._fail = fail

    def score(self, clips: Sequence[Clip]) -> list[Score]:
        values = [int(clip.flat[0]) for clip in clips]
        self._fail(values)
        self.batches.append(values)
        return [
            Score(
                score=float("nan") if value == 99 else float(value),
                baseline=0.0,
                contribution=(0.0,),
                alone=(0.0,),
                without=(0.0,),
                blank=(False,),
            )
            for value in values
        ]


class Fussy(Brightness):
    """Fails on 13 as real scorers do: with frames of calls that hold the clips."""

    def score(self, clips: Sequence[Clip]) -> list[Score]:
        batch = np.stack(clips)
        if 13 in batch:
            raise RuntimeError(f"{len(batch)} clips with 13")
        return super().score(clips)


class Hanging(Brightness):
    def __init__(self) -> None:
        super().__init__()
        self.began, self.release = threading.Event(), threading.Event()

    def score(self, clips: Sequence[Clip]) -> list[Score]:
        self.began.set()
        self.release.wait()
        return super().score(clips)


def clip(value: int) -> Clip:
    return np.full((2, 2, 2, 3), value, np.uint8)


def started(metrics: Metrics, deaths: list[str], **limits: Any) -> Batcher:
    on_failure = partial(deaths.append, "dead")
    batcher = Batcher(max_clips=4, metrics=metrics, on_failure=on_failure, **limits)
    batcher.start()
    return batcher


@contextmanager
def held(batcher: Batcher) -> Iterator[None]:
    """The inference thread is busy until the block ends."""
    release, began = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert release.wait(10)

    batcher.run_on_device(wait)
    assert began.wait(10)
    try:
        yield
    finally:
        release.set()


def count(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(name) or 0.0


def until_dead(deaths: list[str]) -> None:
    deadline = time.monotonic() + 10
    while not deaths:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert deaths == ["dead"]


def until_ended() -> None:
    deadline = time.monotonic() + 10
    while any(thread.name == "inference" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
