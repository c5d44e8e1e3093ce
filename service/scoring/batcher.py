"""
The batcher: clips from many requests, scored together.

    submit() → queue → [inference thread: whenever the engine is free, takes what waits] → scores

The rule: the inference thread alone touches an engine, and every future is resolved, whatever
happens: a clip that fails is separated from its batch by halving, and a thread that dies or hangs
fails all that waits and is no longer `alive`.

Clients get the engine in turn, clip by clip, and a batch is only as large as is done soon, since
whoever comes meanwhile waits for its end. Where an engine gains from batches (on a GPU) full ones
are soon done.

One thread is enough: a batch that is put together while another one runs is closed too early, and
what follows waits for a batch more. What can be prepared is a clip's own: on a GPU it has been
uploaded before it waits here.
"""

import contextlib
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from model_store.engines import Upload
from model_store.errors import EngineError, EngineLost, EngineOutOfMemory
from model_store.score import Score
from service.errors import Draining, EngineDead
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore
from service.scoring.watch import Watch

T = TypeVar("T")
log = logging.getLogger(__name__)

INFERENCE_THREAD = "inference"
BATCH_S = 0.25
"""That a batch may take, by what clips of its network took last; one clip is always a batch."""
STOP_S = 10.0
"""For the last batch, when the service stops: those who waited for it are gone by then, and a
container that takes longer than its grace period is killed."""
TASK_LIMIT_S = 600.0
"""Of one step of loading a checkpoint: seconds usually, a minute for the paper's size on one slow
core with a cold disk."""


class ClipScorer(Protocol):
    """What a batch is for: `model_store.scorer.Scorer`."""

    def score(self, clips: Sequence[Any]) -> list[Score]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _WaitingClip:
    scorer: ClipScorer
    frames: Any  # (T, H, W, 3), or what its scorer has made of them
    fragments: int
    client: str
    future: Future[TimedScore]
    submitted: float


@dataclass(frozen=True, slots=True, eq=False)
class _DeviceTask:
    function: Callable[[], Any]
    future: Future[Any]


_Work = _WaitingClip | _DeviceTask


class Batcher:
    def __init__(
        self,
        *,
        max_clips: int,
        metrics: Metrics,
        on_done: Callable[[int], None] = lambda fragments: None,
        on_failure: Callable[[], None] = lambda: None,
        call_limit_s: float = 300.0,
        task_limit_s: float = TASK_LIMIT_S,
    ) -> None:
        """`on_done` is called with the fragments of each batch.

        `on_failure` is called once, on any thread, if the inference thread dies, or if the engine
        hangs: one of its calls takes longer than `call_limit_s`, a task on the device longer than
        `task_limit_s`.
        """
        self._max_clips = max_clips
        self._metrics = metrics
        self._on_done = on_done
        self._on_failure = on_failure
        self._call_limit_s = call_limit_s
        self._task_limit_s = task_limit_s
        self._queue: deque[_Work] = deque()
        self._batches = 0
        self._last_batch: dict[str, int] = {}  # that each client who waits had a clip in
        self._clip_s: WeakKeyDictionary[ClipScorer, float] = WeakKeyDictionary()
        self._running: Sequence[_Work] = ()  # what was taken from the queue and is not over
        self._changed = threading.Condition()
        self._refusal: Exception | None = None  # why nothing more is accepted
        self._dead = EngineDead("the engine has failed and must be restarted")
        self._failed = False
        self._thread = threading.Thread(target=self._work, name=INFERENCE_THREAD, daemon=True)
        tick_s = min(1.0, call_limit_s / 4, task_limit_s / 4)
        self._watch = Watch(self._engine_hangs, tick_s=tick_s)

    def start(self) -> None:
        self._thread.start()
        self._watch.start()

    def stop(self) -> None:
        """Fail what still waits, let the running batch finish within `STOP_S`, end the thread."""
        reason = Draining("the service is going down")
        self._watch.stop()
        self._close(reason)
        if self._thread.is_alive():
            self._thread.join(1.0 if self._failed else STOP_S)  # if it died it only logs
        _fail_all(self._running, reason)

    @property
    def alive(self) -> bool:
        return not self._failed and self._thread.is_alive()

    def submit(
        self, scorer: ClipScorer, clip: Clip | Upload, fragments: int, client: str = ""
    ) -> Future[TimedScore]:
        """Score one prepared clip, with others if others wait. Cancel the future to leave."""
        waiting = _WaitingClip(scorer, clip, fragments, client, Future(), time.monotonic())
        self._put(waiting)
        return waiting.future

    def run_on_device(self, function: Callable[[], T]) -> Future[T]:
        """Run something on the inference thread, next: loading an engine, warming it up."""
        task = _DeviceTask(function, Future())
        self._put(task)
        return task.future

    def _put(self, work: _Work) -> None:
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            self._queue.append(work)
            self._changed.notify()

    def _close(self, reason: Exception) -> None:
        """Accept nothing more, and fail what waits."""
        with self._changed:
            if self._refusal is None:
                self._refusal = reason
            _fail_all(self._queue, reason)
            self._queue.clear()
            self._changed.notify()

    def _work(self) -> None:
        try:
            while self._run_next():
                pass  # a call for each batch: its variables keep no clip while the thread waits
        except BaseException:  # whatever ends the thread, nobody may be left waiting for it
            self._die("the inference thread died", exc_info=True)

    def _engine_hangs(self, limit_s: float) -> None:
        self._die(f"the engine hangs: a call has taken longer than {limit_s:g} s")

    def _die(self, reason: str, *, exc_info: bool = False) -> None:
        """Fail everything, whoever has found out. The log comes last: it takes memory."""
        with self._changed:
            if self._failed:
                return
            self._failed = True  # before any future is resolved
        try:
            _fail_all(self._running, self._dead)
            self._close(self._dead)
        finally:
            self._on_failure()
            log.critical(reason, exc_info=exc_info)

    def _run_next(self) -> bool:
        """Wait for work and do it. False when no more will come."""
        work = self._next()
        if isinstance(work, _DeviceTask):
            self._run_task(work)
        elif work is not None:
            self._run_batch(work)
        self._running = ()
        return work is not None

    def _next(self) -> list[_WaitingClip] | _DeviceTask | None:
        """Take a task, or else the clips whose turn it is. None at the end.

        Memory may run out anywhere in here: work is always in the queue or running.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._refusal is not None)
            if not self._queue:
                return None
            for work in self._queue:
                if isinstance(work, _DeviceTask):
                    self._running = (work,)
                    self._queue.remove(work)
                    return work
            batch = self._batch()
            others = deque(work for work in self._queue if work not in batch)
            self._running, self._queue = batch, others
            return batch

    def _batch(self) -> list[_WaitingClip]:
        """Of the clips that wait those that are next; they stay where they are."""
        clips = [work for work in self._queue if isinstance(work, _WaitingClip)]
        last = {clip.client: self._last_batch.get(clip.client, 0) for clip in clips}
        before: Counter[str] = Counter()  # clips of the same client, so far
        places = []
        for clip in clips:
            places.append((before[clip.client], last[clip.client]))
            before[clip.client] += 1
        in_turn = [clips[i] for i in sorted(range(len(clips)), key=places.__getitem__)]
        scorer = in_turn[0].scorer
        room = self._max_clips
        if (clip_s := self._clip_s.get(scorer)) is not None:
            room = min(room, max(1, int(BATCH_S / clip_s)))
        batch = [clip for clip in in_turn if clip.scorer is scorer][:room]
        self._batches += 1
        self._last_batch = last | dict.fromkeys((clip.client for clip in batch), self._batches)
        return batch

    def _run_batch(self, batch: list[_WaitingClip]) -> None:
        try:
            clips = [clip for clip in batch if clip.future.set_running_or_notify_cancel()]
            if clips:
                fragments = sum(clip.fragments for clip in clips)
                self._metrics.batches.inc()
                self._metrics.batch_clips.observe(len(clips))
                self._metrics.batch_fragments.observe(fragments)
                self._metrics.fragments.inc(fragments)
                self._infer(clips)
                self._on_done(fragments)
        except EngineLost:
            raise
        except Exception:  # beside the engine: memory has run out, most likely
            # Not this error: it keeps the frames of these calls, and they keep the clips.
            _fail_all(batch, EngineError("the batch was lost"))
            log.exception("a batch was lost")
        batch.clear()

    def _infer(self, clips: list[_WaitingClip]) -> None:
        """Score them, resolve their futures, and empty the list.

        An error that a future gets keeps the frames of all calls from here to `_work`: a list in
        one of them would keep clips, and a cycle, until the next collection.
        """
        try:
            self._score(clips)
        finally:
            clips.clear()

    def _score(self, clips: list[_WaitingClip]) -> None:
        began = time.monotonic()
        try:
            with self._watch.limit(self._call_limit_s):
                scores = clips[0].scorer.score([clip.frames for clip in clips])
            check_finite(scores, len(clips))
        except EngineLost:
            raise
        except Exception as error:  # whichever clip provoked it must not fail the others
            out_of_memory = isinstance(error, EngineOutOfMemory)
            if len(clips) == 1:
                _resolve(clips.pop().future.set_exception, error)
        else:
            seconds = time.monotonic() - began
            self._clip_s[clips[0].scorer] = max(seconds / len(clips), 1e-6)
            for clip, score in zip(clips, scores, strict=True):
                timed = TimedScore(score, began - clip.submitted, seconds, len(clips))
                _resolve(clip.future.set_result, timed)
            return
        if clips:
            self._infer_halves(clips, out_of_memory)

    def _infer_halves(self, clips: list[_WaitingClip], out_of_memory: bool) -> None:
        half = len(clips) // 2
        self._metrics.batch_splits.inc()
        if out_of_memory:
            self._metrics.oom_splits.inc()
            self._max_clips = min(self._max_clips, half)  # as many will not fit next time
        self._infer(clips[:half])
        self._infer(clips[half:])

    def _run_task(self, task: _DeviceTask) -> None:
        try:
            if not task.future.set_running_or_notify_cancel():
                return
            with self._watch.limit(self._task_limit_s):
                result = task.function()
            _resolve(task.future.set_result, result)
        except BaseException as error:  # it belongs to the caller
            _resolve(task.future.set_exception, error)
            if not isinstance(error, Exception):
                raise


def _resolve(set_outcome: Callable[[T], None], outcome: T) -> None:
    """Unless the call has taken so long that its future was given up."""
    with contextlib.suppress(InvalidStateError):
        set_outcome(outcome)


def _fail_all(works: Iterable[_Work], reason: Exception) -> None:
    """Each that is not resolved and whose owner has not left; one that cannot be stops no other."""
    for _ in range(2):  # where memory had run out, there may be some after the others
        for work in works:
            with contextlib.suppress(Exception):
                work.future.set_exception(reason)


def check_finite(scores: Sequence[Score], count: int) -> None:
    """Raises EngineError for an answer that is no answer."""
    if len(scores) != count:
        raise EngineError(f"{len(scores)} scores for {count} clips")
    every = [*scores, *(score.of_execution for score in scores if score.of_execution is not None)]
    for score in every:
        if not all(map(math.isfinite, (score.score, score.baseline, *score.contribution))):
            raise EngineError("the score is not finite")
