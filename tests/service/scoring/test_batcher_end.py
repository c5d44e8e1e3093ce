"""An engine that hangs or dies, a batcher that is stopped: nobody waits for ever."""

import logging
import threading
import time

import pytest

from model_store.errors import EngineLost
from service.errors import Draining, EngineDead
from service.metrics import Metrics
from service.scoring.batcher import Batcher
from tests.service.scoring.batches import (
    Brightness,
    Hanging,
    clip,
    held,
    started,
    until_dead,
    until_ended,
)


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


def test_a_task_that_ends_the_thread_is_resolved_too(batcher: Batcher, deaths: list[str]) -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        batcher.run_on_device(leave).result(10)
    until_dead(deaths)
    assert not batcher.alive
