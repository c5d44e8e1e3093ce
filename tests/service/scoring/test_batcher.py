import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

from model_store.errors import EngineError, EngineLost, EngineOutOfMemory
from model_store.score import Score
from service.errors import Draining, EngineDead
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


def clip(value: int) -> Clip:
    return np.full((2, 2, 2, 3), value, np.uint8)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def deaths() -> list[str]:
    return []


def started(metrics: Metrics, deaths: list[str], **limits: Any) -> Batcher:
    on_failure = partial(deaths.append, "dead")
    batcher = Batcher(max_clips=4, metrics=metrics, on_failure=on_failure, **limits)
    batcher.start()
    return batcher


@pytest.fixture
def batcher(metrics: Metrics, deaths: list[str]) -> Iterator[Batcher]:
    batcher = started(metrics, deaths)
    yield batcher
    batcher.stop()
    assert not any(thread.name == "inference" for thread in threading.enumerate())


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


def test_each_clip_gets_its_own_score(batcher: Batcher) -> None:
    scorer = Brightness()
    futures = [batcher.submit(scorer, clip(value), 9) for value in range(20)]
    assert [future.result(10).score.score for future in futures] == list(range(20))


def test_what_waits_is_scored_together_by_scorer_in_order(
    batcher: Batcher, metrics: Metrics
) -> None:
    one, two = Brightness(), Brightness()
    with held(batcher):
        futures = [
            batcher.submit(scorer, clip(value), 9)
            for value, scorer in enumerate([one, two, one, one, two, one, one])
        ]
    results = [future.result(10) for future in futures]
    assert one.batches == [[0, 2, 3, 5], [6]]
    assert two.batches == [[1, 4]]
    assert all(result.queue_s > 0 and result.inference_s >= 0 for result in results)
    assert count(metrics, "score_batches_total") == 3
    assert count(metrics, "score_fragments_total") == 7 * 9


def test_clients_have_their_turns(batcher: Batcher) -> None:
    scorer = Brightness()
    with held(batcher):
        futures = [batcher.submit(scorer, clip(value), 9, "a") for value in range(10)]
        futures += [batcher.submit(scorer, clip(value), 9, "b") for value in (20, 21)]
        futures += [batcher.submit(scorer, clip(30), 9, "c")]
    wait(futures)
    first, second, *_ = scorer.batches
    assert first == [0, 20, 30, 1]
    assert second[:2] == [21, 2] or second[:2] == [2, 21]


def test_a_client_with_one_clip_at_a_time_is_always_next() -> None:
    """Batches of one: the other client's next clip is then older than this one's first."""
    scorer = Brightness()
    batcher = Batcher(max_clips=1, metrics=Metrics())
    batcher.start()
    try:
        with held(batcher):
            futures = [batcher.submit(scorer, clip(value), 9, "a") for value in range(6)]
            for value in (20, 21):
                batcher.submit(scorer, clip(value), 9, "b")
        wait(futures)
    finally:
        batcher.stop()
    assert [value for [value] in scorer.batches] == [0, 20, 1, 21, 2, 3, 4, 5]


def test_a_batch_is_soon_done(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that gains nothing from batches does not make a newcomer wait for them."""
    monkeypatch.setattr("service.scoring.batcher.BATCH_S", 0.05)
    scorer = Brightness(lambda values: time.sleep(0.02 * len(values)))
    with held(batcher):
        futures = [batcher.submit(scorer, clip(value), 9) for value in range(8)]
    wait(futures)
    sizes = [len(batch) for batch in scorer.batches]
    assert sizes[0] == 4  # nothing is known yet
    assert max(sizes[1:]) <= 2


def test_one_bad_clip_fails_alone(batcher: Batcher, metrics: Metrics) -> None:
    def dislike_13(values: list[int]) -> None:
        if 13 in values:
            raise RuntimeError("13")

    scorer = Brightness(dislike_13)
    with held(batcher):
        good = [batcher.submit(scorer, clip(value), 1) for value in (1, 2)]
        bad = batcher.submit(scorer, clip(13), 1)
        good += [batcher.submit(scorer, clip(3), 1)]
    assert [future.result(10).score.score for future in good] == [1, 2, 3]
    with pytest.raises(RuntimeError, match="13"):
        bad.result(10)
    assert count(metrics, "score_batch_splits_total") == 2  # 4 -> 2 + 2 -> 1 + 1
    assert batcher.alive


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


def test_a_score_that_is_no_number_is_an_error_of_that_clip(batcher: Batcher) -> None:
    scorer = Brightness()
    with held(batcher):
        good, bad = (batcher.submit(scorer, clip(value), 1) for value in (1, 99))
    assert good.result(10).score.score == 1
    with pytest.raises(EngineError):
        bad.result(10)


def test_a_cancelled_clip_is_not_scored(batcher: Batcher) -> None:
    scorer = Brightness()
    with held(batcher):
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(3)]
        assert futures[1].cancel()
    assert [future.result(10).score.score for future in (futures[0], futures[2])] == [0, 2]
    assert scorer.batches == [[0, 2]]
    with pytest.raises(CancelledError):
        futures[1].result(10)


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


@contextmanager
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Fussy(Brightness):
    """Fails on 13 as real scorers do: with frames of calls that hold the clips."""

    def score(self, clips: Sequence[Clip]) -> list[Score]:
        batch = np.stack(clips)
        if 13 in batch:
            raise RuntimeError(f"{len(batch)} clips with 13")
        return super().score(clips)


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


def test_a_callback_that_fails_kills_nothing(metrics: Metrics) -> None:
    def fail(fragments: int) -> None:
        raise MemoryError

    batcher = Batcher(max_clips=4, metrics=metrics, on_done=fail)
    batcher.start()
    for value in range(3):
        assert batcher.submit(Brightness(), clip(value), 1).result(10).score.score == value
    assert batcher.alive
    batcher.stop()


class Hanging(Brightness):
    def __init__(self) -> None:
        super().__init__()
        self.began, self.release = threading.Event(), threading.Event()

    def score(self, clips: Sequence[Clip]) -> list[Score]:
        self.began.set()
        self.release.wait()
        return super().score(clips)


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


@pytest.mark.parametrize("hanging", ["batch", "task"])
def test_an_engine_that_hangs_is_dead(
    metrics: Metrics, deaths: list[str], caplog: pytest.LogCaptureFixture, hanging: str
) -> None:
    batcher = started(metrics, deaths, call_limit_s=0.2, task_limit_s=0.2)
    scorer = Hanging()
    if hanging == "batch":
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(6)]
    else:
        task = batcher.run_on_device(lambda: scorer.score([clip(0)]))
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(6)]
        with pytest.raises(EngineDead):
            task.result(10)
    for future in futures:
        with pytest.raises(EngineDead):
            future.result(10)
    assert not batcher.alive
    until_dead(deaths)
    with pytest.raises(EngineDead):
        batcher.submit(scorer, clip(0), 1)
    began = time.monotonic()
    batcher.stop()
    assert time.monotonic() - began < 3
    scorer.release.set()  # too late
    until_ended()
    assert deaths == ["dead"]
    [message] = [each.message for each in caplog.records if each.levelno >= logging.ERROR]
    assert message == "the engine hangs: a call has taken longer than 0.2 s"


def test_loading_may_take_longer_than_a_batch(metrics: Metrics, deaths: list[str]) -> None:
    batcher = started(metrics, deaths, call_limit_s=0.1, task_limit_s=30)
    batcher.run_on_device(lambda: time.sleep(0.5)).result(10)
    assert batcher.submit(Brightness(), clip(1), 1).result(10).score.score == 1
    time.sleep(0.3)  # and the time between two calls counts for none
    assert batcher.alive
    assert not deaths
    batcher.stop()


def test_stopping_does_not_wait_for_ever(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.scoring.batcher.STOP_S", 0.2)
    batcher = Batcher(max_clips=4, metrics=metrics)
    batcher.start()
    scorer = Hanging()
    running = batcher.submit(scorer, clip(0), 1)
    assert scorer.began.wait(10)
    waiting = batcher.submit(scorer, clip(1), 1)
    began = time.monotonic()
    batcher.stop()
    assert time.monotonic() - began < 3
    for future in (running, waiting):
        with pytest.raises(Draining):
            future.result(0)
    scorer.release.set()
    until_ended()


@pytest.mark.parametrize("error", [SystemExit(), EngineLost("an illegal memory access")])
def test_when_the_inference_thread_dies_nobody_waits_for_ever(
    batcher: Batcher, deaths: list[str], error: BaseException
) -> None:
    def die(values: list[int]) -> None:
        raise error

    scorer = Brightness(die)
    with held(batcher):
        futures = [batcher.submit(scorer, clip(value), 1) for value in range(9)]
    for future in futures:
        with pytest.raises(EngineDead):
            future.result(10)
    assert not batcher.alive
    assert deaths == ["dead"]
    with pytest.raises(EngineDead):
        batcher.submit(scorer, clip(0), 1)


def test_stopping_fails_what_waits_and_finishes_what_runs(metrics: Metrics) -> None:
    batcher = Batcher(max_clips=4, metrics=metrics)
    batcher.start()
    release, began = threading.Event(), threading.Event()

    def wait() -> str:
        began.set()
        release.wait(10)
        return "done"

    running = batcher.run_on_device(wait)
    assert began.wait(10)
    waiting = [batcher.submit(Brightness(), clip(value), 1) for value in range(3)]
    threading.Timer(0.1, release.set).start()
    batcher.stop()
    assert running.result(0) == "done"
    for future in waiting:
        with pytest.raises(Draining):
            future.result(0)
    with pytest.raises(Draining):
        batcher.run_on_device(wait)


def test_a_task_runs_on_the_inference_thread_and_its_error_is_its_own(batcher: Batcher) -> None:
    names = {
        batcher.run_on_device(lambda: threading.current_thread().name).result(10) for _ in range(3)
    }
    assert names == {"inference"}
    with pytest.raises(ZeroDivisionError):
        batcher.run_on_device(lambda: 1 / 0).result(10)
    assert batcher.alive


def test_a_task_that_ends_the_thread_is_resolved_too(batcher: Batcher, deaths: list[str]) -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        batcher.run_on_device(leave).result(10)
    until_dead(deaths)
    assert not batcher.alive
