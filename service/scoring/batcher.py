"""
The batcher: clips from many requests, scored together, one batch prepared while another runs.

    submit() → queue → [batching thread: takes what waits, stacks] → one batch → [inference thread]

The rule: the inference thread alone touches an engine, and every future is resolved, whatever
happens: a clip that fails is separated from its batch by halving, a thread that dies takes all
waiting futures with it, and says so in `alive`.
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
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from model_store.errors import EngineError
from model_store.scorer import Score
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
class _Item:
    scorer: ClipScorer
    clip: Clip  # (T, H, W, 3)
    fragments: int
    future: Future[TimedScore]
    submitted: float


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    function: Callable[[], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    items: list[_Item]
    clips: Clip  # (B, T, H, W, 3)


class _Slot(Generic[T]):
    """Room for one thing between two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._content: T | None = None
        self._closed = False

    def wait_for_room(self) -> bool:
        """False if the slot was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._content is None or self._closed)
            return not self._closed

    def put(self, content: T) -> bool:
        """By the one thread that waited for room; False if the slot was closed since."""
        with self._changed:
            if self._closed:
                return False
            self._content = content
            self._changed.notify_all()
            return True

    def take(self) -> T | None:
        """Wait for content; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._content is not None or self._closed)
            content, self._content = self._content, None
            self._changed.notify_all()
            return content

    def close(self) -> T | None:
        """No more in, no more out; what was in it comes back."""
        with self._changed:
            self._closed = True
            content, self._content = self._content, None
            self._changed.notify_all()
            return content


class Batcher:
    def __init__(
        self,
        *,
        max_clips: int,
        metrics: Metrics,
        on_done: Callable[[int], None] = lambda fragments: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_done` hears of the fragments of each batch, `on_death` of the end of a thread."""
        self._max_clips = max_clips
        self._metrics = metrics
        self._on_done = on_done
        self._on_death = on_death
        self._queue: deque[_Item | _Call] = deque()
        self._changed = threading.Condition()
        self._staged: _Slot[_Batch | _Call] = _Slot()
        self._refuse: Exception | None = None  # why nothing more is accepted
        self._dead = False
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for name, work in (("batching", self._batch), ("inference", self._infer))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Fail what still waits, let the running batch finish, end the threads."""
        self._close(Draining("the service is going down"))
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def alive(self) -> bool:
        return not self._dead and all(thread.is_alive() for thread in self._threads)

    def submit(self, scorer: ClipScorer, clip: Clip, fragments: int) -> Future[TimedScore]:
        """Score one prepared clip, with others if others wait. Cancel the future to leave."""
        item = _Item(scorer, clip, fragments, Future(), time.monotonic())
        self._put(item)
        return item.future

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run something on the inference thread, in turn: loading an engine, warming it up."""
        call = _Call(function, Future())
        self._put(call)
        return call.future

    def _put(self, work: _Item | _Call) -> None:
        with self._changed:
            if self._refuse is not None:
                raise self._refuse
            self._queue.append(work)
            self._changed.notify()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:  # whatever ends a thread, nobody may be left waiting for it
            log.critical("the %s thread died", threading.current_thread().name, exc_info=True)
            self._dead = True
            self._close(EngineDead("the engine has failed and must be restarted"))
            self._on_death()

    def _close(self, reason: Exception) -> None:
        with self._changed:
            if self._refuse is None:
                self._refuse = reason
            waiting = [*self._queue]
            self._queue.clear()
            self._changed.notify_all()
        staged = self._staged.close()
        for work in (*waiting, *([] if staged is None else [staged])):
            for future in _futures(work):
                if not future.done() and future.set_running_or_notify_cancel():
                    future.set_exception(reason)

    def _batch(self) -> None:
        while self._staged.wait_for_room() and (work := self._next()) is not None:
            if not self._staged.put(work):
                for future in _futures(work):
                    if future.set_running_or_notify_cancel():
                        future.set_exception(self._refuse)
                return

    def _next(self) -> _Batch | _Call | None:
        """The oldest work; with a clip, what else waits for the same scorer. None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._refuse is not None)
                if not self._queue:
                    return None
                first = self._queue.popleft()
                if isinstance(first, _Call):
                    return first
                items, others = [first], deque[_Item | _Call]()
                for work in self._queue:
                    same = isinstance(work, _Item) and work.scorer is first.scorer
                    if same and len(items) < self._max_clips:
                        items.append(work)  # type: ignore[arg-type]  # it is an _Item
                    else:
                        others.append(work)
                self._queue = others
                items = [item for item in items if not item.future.cancelled()]
                if items:
                    break
        return _Batch(items, np.stack([item.clip for item in items]))

    def _infer(self) -> None:
        while self._run_next():
            pass  # and nothing of the last batch is kept while waiting

    def _run_next(self) -> bool:
        work = self._staged.take()
        if isinstance(work, _Call):
            self._run_call(work)
        elif work is not None:
            self._run_batch(work)
        return work is not None

    def _run_call(self, call: _Call) -> None:
        if not call.future.set_running_or_notify_cancel():
            return
        try:
            result = call.function()
        except Exception as error:  # it belongs to the caller
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _run_batch(self, batch: _Batch) -> None:
        here = [item.future.set_running_or_notify_cancel() for item in batch.items]
        items = [item for item, stays in zip(batch.items, here, strict=True) if stays]
        if not items:
            return
        clips = batch.clips if all(here) else batch.clips[here]
        fragments = sum(item.fragments for item in items)
        self._metrics.batches.inc()
        self._metrics.batch_clips.observe(len(items))
        self._metrics.batch_fragments.observe(fragments)
        self._metrics.fragments.inc(fragments)
        try:
            self._score(items, clips)
        except BaseException:
            self._dead = True  # before anybody hears of it
            raise
        finally:
            for item in items:
                if not item.future.done():
                    item.future.set_exception(EngineDead("the engine has failed"))
        self._on_done(fragments)

    def _score(self, items: list[_Item], clips: Clip) -> None:
        began = time.monotonic()
        try:
            scores = items[0].scorer.score(list(clips))
            check_finite(scores, len(items))
        except Exception as error:  # whichever clip provoked it must not fail the others
            cause = error.__cause__ if isinstance(error, EngineError) else error
            out_of_memory = isinstance(cause, torch.OutOfMemoryError)
            if is_device_failure(cause) and not out_of_memory:
                raise  # the device's context is lost: nothing will work again
            if out_of_memory:
                torch.cuda.empty_cache()
            if len(items) == 1:
                items[0].future.set_exception(error)
                return
            self._metrics.batch_splits.inc()
            half = len(items) // 2
            if out_of_memory:
                self._metrics.oom_splits.inc()
                self._max_clips = min(self._max_clips, half)  # as many will not fit next time
            self._score(items[:half], clips[:half])
            self._score(items[half:], clips[half:])
            return
        seconds = time.monotonic() - began
        for item, score in zip(items, scores, strict=True):
            item.future.set_result(TimedScore(score, began - item.submitted, seconds))


def is_device_failure(error: BaseException | None) -> bool:
    """Errors of CUDA, which leave the device unusable; those of its libraries have no class."""
    if isinstance(error, (torch.AcceleratorError, torch.cuda.CudaError)):
        return True
    return isinstance(error, RuntimeError) and bool(_DEVICE_ERROR.search(str(error)))


def check_finite(scores: Sequence[Score], count: int) -> None:
    """Raises EngineError for an answer that is no answer."""
    if len(scores) != count:
        raise EngineError(f"{len(scores)} scores for {count} clips")
    every = [*scores, *(score.of_execution for score in scores if score.of_execution is not None)]
    for score in every:
        if not all(map(math.isfinite, (score.score, score.baseline, *score.contribution))):
            raise EngineError("the score is not finite")


def _futures(work: _Item | _Call | _Batch) -> list[Future[Any]]:
    return [item.future for item in work.items] if isinstance(work, _Batch) else [work.future]
