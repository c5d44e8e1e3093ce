"""
The decode pool: gives each upload to a worker, and turns its answer into a clip or an error.

The rule: a clip that crashes, hangs or bloats its decoder costs its own request an error, and
other requests no more than the worker's restart. A cancelled request ends its decoding at once.
A clip is to blame for the processor time that it uses, not for its wait for a processor.

Of several clients that wait, the one whose clips have taken the least time is next. Where there are
several workers, one of them is kept for clips that are short: whatever else is sent in, and by
whomever, an ordinary clip finds a worker soon. How long a clip of a small file takes shows only
while it is decoded. So the worker that is kept begins with any of them; it stops, and leaves the
clip to the others, once it takes too long or is going to. It also stops when it works for a client
who has other workers too, and one who has none waits.

No library replaces this: pebble and other pools unpickle what a worker sends, so a decoder that
was taken over could execute code in the service.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from model_store.clip import ClipWarning, PreparedClip
from model_store.errors import ClipTooLarge, InvalidTrim, NotAVideo, UnusableClip
from service.decode.memory import ClipMemory
from service.decode.messages import Answer, Decoded, DecodeJob, Refused, Stopped, TakesLonger
from service.decode.process import WorkerProcess
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout, DecoderUnavailable
from service.turns import Turns

__all__ = ["DecodeJob", "DecodePool", "DecodedUpload"]

T = TypeVar("T")
log = logging.getLogger(__name__)

BUSY_SHARE = 0.8  # of the wall clock on a processor: such a decoder hardly waited for one
SHORT_S = 0.5  # processor time of a short clip: ten ordinary ones, or five seconds of full HD
SHORT_BYTES = 32 << 20  # of its file: to take it apart is short, too
NICENESS = 5  # of the others: a third of the weight, while there is not enough for all
STOP_S = 1.0  # for a worker to stop decoding when it is asked to
KEPT_BYTES = 256 << 20  # resident in a worker that waits; one that keeps more is replaced
_STARTS = 3  # tries to start a worker before those who wait are told that it cannot be done
_UNHEALTHY = 3 * _STARTS  # failed starts in a row
_REFUSALS = {
    cls.__name__: cls
    for cls in (NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim, TakesLonger, Stopped)
}


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    clip: PreparedClip
    fragment_jpegs: list[str | None] | None
    """K base64 JPEGs, None for a blank fragment; None if they were not asked for."""
    seconds: float
    """Of the worker's work, without the wait for a free worker."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    client: str
    is_long: bool
    worker: asyncio.Future[WorkerProcess]


class DecodePool:
    """Lives on one event loop."""

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        cpu_s: int,
        memory_bytes: int,
        clips_per_worker: int,
    ) -> None:
        self._timeout_s = timeout_s
        self._cpu_s = cpu_s
        self._clips_per_worker = clips_per_worker
        self.for_short = WorkerProcess(memory_bytes) if workers > 1 else None
        """The worker that is kept for short clips. Others leave a busy processor to it."""
        niceness = NICENESS if self.for_short else 0
        self.workers = [
            *(WorkerProcess(memory_bytes, niceness) for _ in range(max(1, workers - 1))),
            *([self.for_short] if self.for_short else []),
        ]
        self._short_client = ""  # for whom it works, or has worked last
        self._idle: set[WorkerProcess] = set()
        self._failed: set[WorkerProcess] = set()  # those that could not be started
        self._waiting: list[_Waiting] = []
        self._turns = Turns()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start all workers and wait for them.   Raises DecoderUnavailable."""
        await asyncio.gather(*(worker.ready() for worker in self.workers))
        if not all(worker.filtered for worker in self.workers):
            log.warning("decoders can open sockets and files here: there is no seccomp filter")
        for worker in self.workers:
            self._is_free(worker)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            worker.kill()
        await asyncio.gather(*(worker.gone() for worker in self.workers))

    @property
    def pids(self) -> list[int]:
        """Of the workers that run now."""
        return [worker.pid for worker in self.workers if worker.pid is not None]

    @property
    def healthy(self) -> bool:
        return any(worker.failed_starts < _UNHEALTHY for worker in self.workers)

    async def decode(
        self,
        upload: int,
        job: DecodeJob,
        on_frame: Callable[[int, int], None] = lambda done, of: None,
        *,
        client: str = "",
        on_worker: Callable[[], None] = lambda: None,
    ) -> DecodedUpload:
        """Decode the file behind a descriptor; waits for a free worker.

        If the job asks for progress, `on_frame` is called on the event loop now and then, with the
        frames decoded and the frames to decode. `on_worker` is called when a worker is
        found, and again when the clip has to begin anew with another one. Clients get the workers
        in turn.

        Raises the errors of `model_store.clip`, DecoderFailed, DecoderTimeout, DecoderInterrupted,
        DecoderUnavailable. Cancelling it stops the decoding.
        """
        job = replace(job, cpu_s=self._cpu_s)
        self._turns.enter(client)
        try:
            is_long = os.fstat(upload).st_size > SHORT_BYTES
            while True:
                try:
                    return await self._decode(
                        upload, job, on_frame, client, is_long=is_long, on_worker=on_worker
                    )
                except TakesLonger:
                    is_long = True
                except Stopped:
                    pass  # another client needed the worker more
        finally:
            self._turns.leave(client)

    async def _decode(
        self,
        upload: int,
        job: DecodeJob,
        on_frame: Callable[[int, int], None],
        client: str,
        *,
        is_long: bool,
        on_worker: Callable[[], None],
    ) -> DecodedUpload:
        own = os.dup(upload)  # the work may outlive the request, and with it the upload's
        try:
            worker = await self._free_worker(client, is_long=is_long)
        except BaseException:
            os.close(own)
            raise
        if worker is self.for_short:
            job = replace(job, short_s=SHORT_S)
        on_worker()
        work = self._begin(self._work(worker, own, job, on_frame))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            worker.ask_to_stop()
            asyncio.get_running_loop().call_later(STOP_S, _end_unless_done, worker, work)
            raise
        except (TakesLonger, Stopped) as error:
            if worker is not self.for_short:
                raise DecoderFailed("the decoder's answer makes no sense") from error
            raise
        finally:
            self._turns.end(client)

    async def _work(
        self,
        worker: WorkerProcess,
        upload: int,
        job: DecodeJob,
        on_frame: Callable[[int, int], None],
    ) -> DecodedUpload:
        """Have a worker do a job, and see to it that it is free again."""
        try:
            memory = await worker.give(upload, job)
            began, used = time.monotonic(), worker.processor_s()
            with memory:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        answer = await worker.answer(on_frame)
                except TimeoutError as error:
                    raise self._overdue(worker.processor_s() - used) from error
                if worker.is_exhausted() and _is_damaged(answer):
                    raise ClipTooLarge("decoding needs too much memory")
                return _result(answer, memory, job, time.monotonic() - began)
        except tuple(_REFUSALS.values()):
            raise
        except BaseException:
            worker.kill()
            raise
        finally:
            os.close(upload)
            worn = worker.clips >= self._clips_per_worker
            if worn or worker.is_exhausted() or worker.resident_bytes() > KEPT_BYTES:
                worker.kill()
            self._is_free(worker)

    async def _free_worker(self, client: str, *, is_long: bool) -> WorkerProcess:
        """Wait for one in turn.   Raises DecoderUnavailable."""
        for failed in self._failed:
            self._begin(self._start(failed))
        self._failed.clear()
        waiting = _Waiting(client, is_long, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._assign()
        if waiting in self._waiting and not is_long and not self._turns.running(client):
            self._take_from_others()
        try:
            return await waiting.worker
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.worker.cancelled() and not waiting.worker.exception():
                self._turns.end(client)
                self._is_free(waiting.worker.result())
            raise

    def _take_from_others(self) -> None:
        """Free the worker for short clips, if whoever has it has another one, too."""
        if self.for_short is not None and self._turns.running(self._short_client) > 1:
            self.for_short.ask_to_stop()

    def _assign(self) -> None:
        """Give idle workers to those who wait; the one for short clips comes last."""
        for worker in self.workers:
            able = [each for each in self._waiting if self._may_do(each, [worker])]
            if worker in self._idle and able:
                chosen = min(able, key=lambda each: self._turns.seconds_of(each.client))
                self._idle.remove(worker)
                self._waiting.remove(chosen)
                self._turns.begin(chosen.client)
                if worker is self.for_short:
                    self._short_client = chosen.client
                chosen.worker.set_result(worker)

    def _may_do(self, waiting: _Waiting, workers: Collection[WorkerProcess]) -> bool:
        """Whether one of these may have a clip that still waits."""
        usable = [each for each in workers if not waiting.is_long or each is not self.for_short]
        return bool(usable) and not waiting.worker.done()

    def _is_free(self, worker: WorkerProcess) -> None:
        """It waits for a job, or will once it has been started."""
        if worker.pid is None:
            self._begin(self._start(worker))
        else:
            self._idle.add(worker)
            self._assign()

    async def _start(self, worker: WorkerProcess) -> None:
        for _ in range(_STARTS):
            try:
                await worker.ready()
            except DecoderUnavailable as error:
                reason = error
            else:
                self._is_free(worker)
                return
        self._failed.add(worker)
        for waiting in [*self._waiting]:
            if not self._may_do(waiting, {*self.workers} - self._failed):
                self._waiting.remove(waiting)
                if not waiting.worker.done():
                    waiting.worker.set_exception(reason)

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task that goes on without whoever waits for it; `stop` cancels it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is seen
        return task

    def _overdue(self, spent_s: float) -> DecoderTimeout | DecoderInterrupted:
        """Whose fault it is that a clip took more than the wall clock allows."""
        spent = f"{spent_s:.1f} s of processor time in {self._timeout_s:g} s"
        if spent_s >= min(self._cpu_s, BUSY_SHARE * self._timeout_s):
            return DecoderTimeout(spent)
        return DecoderInterrupted(f"the machine is busy: {spent}")


def _end_unless_done(worker: WorkerProcess, work: asyncio.Task[DecodedUpload]) -> None:
    if not work.done():
        worker.end()


def _is_damaged(answer: Answer) -> bool:
    """Whether some of the clip did not decode; FFmpeg may give lack of memory as damage."""
    if isinstance(answer, Decoded):
        return ClipWarning.DECODE_ERRORS in answer.warnings
    return answer.error in (NotAVideo.__name__, UnusableClip.__name__)


def _result(answer: Answer, memory: ClipMemory, job: DecodeJob, seconds: float) -> DecodedUpload:
    if isinstance(answer, Refused):
        if answer.traceback is not None:
            log.error("decoding failed in an unknown way", extra={"traceback": answer.traceback})
        raise _REFUSALS.get(answer.error, UnusableClip)(answer.detail)
    times = np.array([np.nan if time is None else time for time in answer.times])
    if times.shape != (job.spec.frames,):
        raise DecoderFailed("the decoder's answer makes no sense")
    info = replace(answer.info, sha256=job.sha256)
    clip = PreparedClip(
        frames=memory.frames(),
        times=times,
        info=info,
        warnings=answer.warnings,
        found=answer.found,
    )
    return DecodedUpload(clip, answer.fragment_jpegs, seconds)
