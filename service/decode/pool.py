"""
The decode pool: gives each upload to a worker, and turns its answer into a clip or an error.

The rule: a clip that crashes, hangs or bloats its decoder costs its own request an error, and
other requests no more than the worker's restart. A cancelled request kills its decoding at once.
A clip is to blame for the processor time that it uses, not for its wait for a processor.

No library replaces this: pebble and other pools unpickle what a worker sends, so a decoder that
was taken over could execute code in the service.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from model_store.clip import PreparedClip
from model_store.errors import ClipTooLarge, InvalidTrim, NotAVideo, UnusableClip
from service.decode.memory import ClipMemory
from service.decode.messages import Answer, DecodeJob, Refused
from service.decode.process import WorkerProcess
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout

__all__ = ["DecodeJob", "DecodePool", "DecodedUpload"]

log = logging.getLogger(__name__)

BUSY_SHARE = 0.8  # of the wall clock on a processor: such a decoder hardly waited for one
_UNHEALTHY = 3  # failed starts in a row
_REFUSALS = {cls.__name__: cls for cls in (NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim)}


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    clip: PreparedClip
    fragment_jpegs: list[str | None] | None
    """K base64 JPEGs, None for a blank fragment; None if they were not asked for."""
    seconds: float
    """Of the worker's work, without the wait for a free worker."""


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
        self.workers = [WorkerProcess(memory_bytes) for _ in range(workers)]
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()

    async def start(self) -> None:
        """Start all workers and wait for them.   Raises DecoderUnavailable."""
        for worker in self.workers:
            self._idle.put_nowait(worker)
        await asyncio.gather(*(worker.ready() for worker in self.workers))
        if not all(worker.filtered for worker in self.workers):
            log.warning("decoders can open sockets and files here: there is no seccomp filter")

    async def stop(self) -> None:
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
    ) -> DecodedUpload:
        """Decode the file behind a descriptor; waits for a free worker.

        If the job asks for progress, `on_frame` is called on the event loop now and then, with the
        frames decoded and the frames to decode.

        Raises the errors of `model_store.clip`, DecoderFailed, DecoderTimeout, DecoderInterrupted,
        DecoderUnavailable. Cancelling it stops the decoding.
        """
        worker = await self._idle.get()
        try:
            memory = await worker.give(upload, replace(job, cpu_s=self._cpu_s))
            began, used = time.monotonic(), worker.processor_s()
            with memory:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        answer = await worker.answer(on_frame)
                except TimeoutError as error:
                    raise self._overdue(worker.processor_s() - used) from error
                return _result(answer, memory, job, time.monotonic() - began)
        except tuple(_REFUSALS.values()):
            raise
        except BaseException:
            worker.kill()
            raise
        finally:
            if worker.clips >= self._clips_per_worker:
                worker.kill()
            with contextlib.suppress(OSError):  # the next call of `ready` raises it
                worker.start()
            self._idle.put_nowait(worker)

    def _overdue(self, spent_s: float) -> DecoderTimeout | DecoderInterrupted:
        """Whose fault it is that a clip took more than the wall clock allows."""
        spent = f"{spent_s:.1f} s of processor time in {self._timeout_s:g} s"
        if spent_s >= min(self._cpu_s, BUSY_SHARE * self._timeout_s):
            return DecoderTimeout(spent)
        return DecoderInterrupted(f"the machine is busy: {spent}")


def _result(answer: Answer, memory: ClipMemory, job: DecodeJob, seconds: float) -> DecodedUpload:
    if isinstance(answer, Refused):
        if answer.traceback is not None:
            log.error("decoding failed in an unknown way", extra={"traceback": answer.traceback})
        raise _REFUSALS.get(answer.error, UnusableClip)(answer.detail)
    times = np.array([np.nan if time is None else time for time in answer.times])
    if times.shape != (job.spec.frames,):
        raise DecoderFailed("the decoder's answer makes no sense")
    info = replace(answer.info, sha256=job.sha256)
    clip = PreparedClip(frames=memory.frames(), times=times, info=info, warnings=answer.warnings)
    return DecodedUpload(clip, answer.fragment_jpegs, seconds)
