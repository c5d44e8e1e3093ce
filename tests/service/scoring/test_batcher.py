"""Clips become batches: which together, in which order, each with its own answer."""

import threading
import time
from concurrent.futures import CancelledError, wait

import pytest

from model_store.errors import EngineError
from service.metrics import Metrics
from service.scoring.batcher import Batcher
from tests.service.scoring.batches import Brightness, clip, count, held


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


def test_a_callback_that_fails_kills_nothing(metrics: Metrics) -> None:
    def fail(fragments: int) -> None:
        raise MemoryError

    batcher = Batcher(max_clips=4, metrics=metrics, on_done=fail)
    batcher.start()
    for value in range(3):
        assert batcher.submit(Brightness(), clip(value), 1).result(10).score.score == value
    assert batcher.alive
    batcher.stop()


def test_a_task_runs_on_the_inference_thread_and_its_error_is_its_own(batcher: Batcher) -> None:
    names = {
        batcher.run_on_device(lambda: threading.current_thread().name).result(10) for _ in range(3)
    }
    assert names == {"inference"}
    with pytest.raises(ZeroDivisionError):
        batcher.run_on_device(lambda: 1 / 0).result(10)
    assert batcher.alive
