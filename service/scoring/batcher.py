"""
The batcher: clips from many requests, scored together.

    submit() → queue → [inference thread: whenever the engine is free, takes what waits] → scores

The rule: the inference thread alone touches an engine, and every future is resolved, whatever
happens: a clip that fails is separated from its batch by halving, and a thread that dies fails all
that waits and is no longer `alive`.

One thread is enough: a batch that is put together while another one runs is closed too early, and
what follows waits for a batch more. There is nothing to prepare: the scorer stacks the clips.
"""

import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from model_store.errors import EngineError
from model_store.score import Score
from service.errors import Draining, EngineDead
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore

T = TypeVar("T")
log = logging.getLogger(__name__)

_DEVICE_ERROR = re.compile(r"\b(CUDA|CUBLAS|cuBLAS|cuDNN|CUDNN|NVML)\b.*(error|_STATUS_)", re.I)


class ClipScorer(Protocol):
    """What a batch is for: `model_store.scorer.Scorer`."""

    def score(self, clips: Sequence[Clip]) -> list[Score]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _WaitingClip:
    scorer: ClipScorer
    frames: Clip  # (T, H, W, 3)
    fragments: int
    future: Future[TimedScore]
    submitted: float


@dataclass(frozen=True, slots=True, eq=False)
class _DeviceTask:
    function: Callable[[], Any]
    future: Future[Any]


class Batcher:
    def __init__(
        self,
        *,
        max_clips: int,
        metrics: Metrics,
        on_done: Callable[[int], None] = lambda fragments: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_done` is called with the fragments of each batch, `on_failure` if the thread dies."""
        self._max_clips = max_clips
        self._metrics = metrics
        self._on_done = on_done
        self._on_failure = on_failure
        self._queue: deque[_WaitingClip | _DeviceTask] = deque()
        self._changed = threading.Condition()
        self._refusal: Exception | None = None  # why nothing more is accepted
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Fail what still waits, let the running batch finish, end the thread."""
        self._close(Draining("the service is going down"))
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        return not self._failed and self._thread.is_alive()

    def submit(self, scorer: ClipScorer, clip: Clip, fragments: int) -> Future[TimedScore]:
        """Score one prepared clip, with others if others wait. Cancel the future to leave."""
        waiting = _WaitingClip(scorer, clip, fragments, Future(), time.monotonic())
        self._put(waiting)
        return waiting.future

    def run_on_device(self, function: Callable[[], T]) -> Future[T]:
        """Run something on the inference thread, in turn: loading an engine, warming it up."""
        task = _DeviceTask(function, Future())
        self._put(task)
        return task.future

    def _put(self, work: _WaitingClip | _DeviceTask) -> None:
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
            waiting, self._queue = self._queue, deque()
            self._changed.notify()
        while waiting:
            _fail(waiting.popleft().future, reason)

    def _work(self) -> None:
        try:
            while self._run_next():
                pass  # a call for each batch: its variables keep no clip while the thread waits
        except BaseException:  # whatever ends the thread, nobody may be left waiting for it
            log.critical("the inference thread died", exc_info=True)
            self._failed = True
            self._close(EngineDead("the engine has failed and must be restarted"))
            self._on_failure()

    def _run_next(self) -> bool:
        """Wait for work and do it. False when no more will come."""
        work = self._next()
        if isinstance(work, _DeviceTask):
            _run_task(work)
        elif work is not None:
            self._run_batch(work)
        return work is not None

    def _next(self) -> list[_WaitingClip] | _DeviceTask | None:
        """Take the oldest work; with a clip, what else waits for its scorer. None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._refusal is not None)
            if not self._queue:
                return None
            oldest = self._queue[0]
            if isinstance(oldest, _DeviceTask):
                self._queue.popleft()
                return oldest
            batch, others = list[_WaitingClip](), deque[_WaitingClip | _DeviceTask]()
            for work in self._queue:
                room = len(batch) < self._max_clips
                if room and isinstance(work, _WaitingClip) and work.scorer is oldest.scorer:
                    batch.append(work)
                else:
                    others.append(work)
            self._queue = others  # in one step: if memory runs out above, `_close` finds all
            return batch

    def _run_batch(self, batch: list[_WaitingClip]) -> None:
        try:
            batch[:] = [clip for clip in batch if clip.future.set_running_or_notify_cancel()]
            fragments = sum(clip.fragments for clip in batch)
            if batch:
                self._metrics.batches.inc()
                self._metrics.batch_clips.observe(len(batch))
                self._metrics.batch_fragments.observe(fragments)
                self._metrics.fragments.inc(fragments)
                self._infer(batch)
        except BaseException:
            self._failed = True  # before any future is resolved
            raise
        finally:
            while batch:
                _fail(batch.pop().future, EngineDead("the engine has failed"))
        if fragments:
            self._on_done(fragments)

    def _infer(self, clips: list[_WaitingClip]) -> None:
        began = time.monotonic()
        try:
            scores = clips[0].scorer.score([clip.frames for clip in clips])
            check_finite(scores, len(clips))
        except Exception as error:  # whichever clip provoked it must not fail the others
            if is_device_failure(error):
                raise  # the device's context is lost: nothing will work again
            out_of_memory = is_out_of_memory(error)
            if len(clips) == 1:
                clips.pop().future.set_exception(error)  # it keeps this frame, so not the clip
        else:
            seconds = time.monotonic() - began
            for clip, score in zip(clips, scores, strict=True):
                clip.future.set_result(TimedScore(score, began - clip.submitted, seconds))
            return
        if out_of_memory:
            torch.cuda.empty_cache()
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


def _run_task(task: _DeviceTask) -> None:
    if not task.future.set_running_or_notify_cancel():
        return
    try:
        result = task.function()
    except BaseException as error:  # it belongs to the caller
        task.future.set_exception(error)
        if not isinstance(error, Exception):
            raise
    else:
        task.future.set_result(result)


def _fail(future: Future[Any], reason: Exception) -> None:
    """Unless it is resolved, or whoever waited for it has left."""
    if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
        future.set_exception(reason)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the batch was too large for the device."""
    return isinstance(_cause(error), torch.OutOfMemoryError)


def is_device_failure(error: Exception) -> bool:
    """Errors of CUDA, which leave the device unusable; those of its libraries have no class."""
    cause = _cause(error)
    if isinstance(cause, torch.OutOfMemoryError):
        return False
    if isinstance(cause, (torch.AcceleratorError, torch.cuda.CudaError)):
        return True
    return isinstance(cause, RuntimeError) and bool(_DEVICE_ERROR.search(str(cause)))


def _cause(error: Exception) -> BaseException | None:
    return error.__cause__ if isinstance(error, EngineError) else error


def check_finite(scores: Sequence[Score], count: int) -> None:
    """Raises EngineError for an answer that is no answer."""
    if len(scores) != count:
        raise EngineError(f"{len(scores)} scores for {count} clips")
    every = [*scores, *(score.of_execution for score in scores if score.of_execution is not None)]
    for score in every:
        if not all(map(math.isfinite, (score.score, score.baseline, *score.contribution))):
            raise EngineError("the score is not finite")
