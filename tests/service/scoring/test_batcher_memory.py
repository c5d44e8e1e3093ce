"""What a batch holds is released; memory that runs out costs one batch at most."""

import gc
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager

import pytest

from model_store.errors import EngineOutOfMemory
from service.errors import EngineDead
from service.metrics import Metrics
from service.scoring.batcher import Batcher
from tests.service.scoring.batches import (
    Brightness,
    Fussy,
    clip,
    count,
    held,
    until_dead,
)


@contextmanager
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_too_little_device_memory_halves_the_batch(batcher: Batcher, metrics: Metrics) -> None:
    def small_device(values: list[int]) -> None:
        if len(values) > 2:
            raise EngineOutOfMemory("CUDA out of memory")

    scorer = Brightness(small_device)
    with held(batcher):
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(4)]
    assert [future.result(10).score.score for future in futures] == [0, 1, 2, 3]
    assert scorer.batches == [[0, 1], [2, 3]]
    with held(batcher):  # and the next batch is no larger than what fitted
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(4)]
    assert [future.result(10).score.score for future in futures] == [0, 1, 2, 3]
    assert count(metrics, "score_oom_splits_total") == 1


def test_too_little_memory_to_stack_a_batch_halves_it(batcher: Batcher, deaths: list[str]) -> None:
    def little_memory(values: list[int]) -> None:
        if len(values) > 2 or 13 in values:
            raise MemoryError

    scorer = Brightness(little_memory)
    with held(batcher):
        good = [batcher.submit(scorer, clip(value), 1) for value in range(3)]
        too_large = batcher.submit(scorer, clip(13), 1)
    assert [future.result(10).score.score for future in good] == [0, 1, 2]
    with pytest.raises(MemoryError):
        too_large.result(10)
    assert batcher.alive
    assert not deaths


@pytest.mark.parametrize(
    "values", [[1], [99], [13], [1, 2, 3, 4], [1, 13, 2, 99], [13, 13, 13, 13]], ids=str
)
@pytest.mark.parametrize("leaves", [False, True])
def test_nothing_of_a_batch_is_kept_while_waiting(
    batcher: Batcher, values: list[int], leaves: bool
) -> None:
    """Scored, failed, halved or cancelled: it goes before the next work and any collection."""
    with no_collection():
        kept, futures = [], []
        with held(batcher):
            for value in values:
                frames = clip(value)
                kept.append(weakref.ref(frames))
                futures.append(batcher.submit(Fussy(), frames, 1))
                del frames
            if leaves:
                futures[0].cancel()
        wait(futures, 10)
        futures.clear()
        deadline = time.monotonic() + 5
        while any(each() is not None for each in kept):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("error", [MemoryError, SystemError])
@pytest.mark.parametrize(
    "place",
    [
        "service.scoring.batcher.check_finite",
        "service.scoring.batcher.TimedScore",
        "service.scoring.batcher.Batcher._infer",
        "service.scoring.batcher.Batcher._infer_halves",
        "concurrent.futures.Future.set_running_or_notify_cancel",
        "concurrent.futures.Future.set_result",
        "prometheus_client.Histogram.observe",
        "prometheus_client.Counter.inc",
    ],
)
def test_memory_that_runs_out_beside_the_engine_costs_the_batch(
    batcher: Batcher,
    deaths: list[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: type[Exception],
) -> None:
    with held(batcher):
        futures = [batcher.submit(Fussy(), clip(value), 1) for value in (1, 2, 13, 3)]
        scorer = Fussy()
        futures += [batcher.submit(scorer, clip(value), 1) for value in (1, 13, 2)]
        time.sleep(0.05)  # the task that holds the thread is running

        def fail(*given: object, **more: object) -> None:
            raise error

        monkeypatch.setattr(place, fail)
    _, pending = wait(futures, 10)
    assert not pending
    monkeypatch.undo()
    assert batcher.submit(Fussy(), clip(7), 1).result(10).score.score == 7
    assert not deaths


def test_memory_that_runs_out_while_a_batch_is_chosen_leaves_nobody_waiting(
    batcher: Batcher, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        def __class_getitem__(cls, item: object) -> None:
            raise MemoryError

        def __init__(self) -> None:
            raise MemoryError

    with held(batcher):
        futures = [batcher.submit(Brightness(), clip(value), 1) for value in range(3)]
        monkeypatch.setattr("service.scoring.batcher.deque", Exhausted)
    for future in futures:
        with pytest.raises(EngineDead):
            future.result(10)
    assert not batcher.alive
    until_dead(deaths)
