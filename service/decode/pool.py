"""
Decoding in processes that can be killed: the pool's side. `worker.py` is the other.

The rule: a clip that crashes, hangs or bloats its decoder costs its own request an error, and
nobody else more than the worker's restart. A cancelled request kills its decoding at once. A clip
is to blame for the processor time that it takes, and not for how long it waits for a processor.

Every worker has its own socket and no lock in common with the others, is killed with SIGKILL, is
timed by the monotonic clock, and starts with an environment that holds no secrets. Pixels come
back through sealed anonymous memory, without a copy; all else as JSON that is checked here.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from model_store.clip import ClipInfo, ClipLimits, ClipWarning, PreparedClip
from model_store.errors import ClipTooLarge, InvalidTrim, NotAVideo, UnusableClip
from model_store.spec import ClipSpec
from service.decode.memory import ClipMemory
from service.decode.worker import LENGTH
from service.errors import (
    DecoderFailed,
    DecoderInterrupted,
    DecoderTimeout,
    DecoderUnavailable,
)

log = logging.getLogger(__name__)

_REFUSALS = {cls.__name__: cls for cls in (NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim)}
_MAX_ANSWER = 8 << 20  # bytes of JSON
_START_S = 60.0  # for a worker to import its libraries on a busy machine
_TAKE_S = 5.0  # for a worker that waits to take a job; one that does not is stuck
_MAX_PROGRESS = 10_000  # messages of progress before an answer
_BUSY_SHARE = 0.8  # of the wall clock on a processor: a decoder that was hardly kept from one
_KILLED = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT")  # by the system or its operator: no clip can
_UNHEALTHY = 3  # failed starts in a row
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    spec: ClipSpec
    limits: ClipLimits
    sha256: str
    """Of the upload. What the process says of it is not used."""
    start_s: float | None = None
    end_s: float | None = None
    pictures: bool = False
    """Also give a JPEG of each fragment."""
    progress: bool = False
    """Also report how far the decoding is."""

    def to_json(self, cpu_s: int) -> bytes:
        fields = dataclasses.asdict(self) | {"spec": self.spec.to_json(), "cpu_s": cpu_s}
        return json.dumps(fields).encode()


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    clip: PreparedClip
    pictures: list[str | None] | None
    """K base64 JPEGs, None for a blank fragment; None if they were not asked for."""
    seconds: float
    """Of the worker's work, without the wait for a free worker."""


class _Success(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    info: ClipInfo
    warnings: tuple[ClipWarning, ...]
    times: list[float | None]
    pictures: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$")] | None] | None


class _Refusal(BaseModel):
    model_config = ConfigDict(extra="forbid")
    error: str
    detail: str


class _Surprise(BaseModel):
    model_config = ConfigDict(extra="forbid")
    traceback: str


class _Progress(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    done: int = Field(ge=0)
    of: int = Field(ge=0)


_ANSWER: TypeAdapter[_Success | _Refusal | _Surprise] = TypeAdapter(_Success | _Refusal | _Surprise)


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
        self._workers = [_Worker(memory_bytes) for _ in range(workers)]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()

    async def start(self) -> None:
        """Start all workers and wait for them.   Raises DecoderUnavailable."""
        for worker in self._workers:
            self._idle.put_nowait(worker)
        await asyncio.gather(*(worker.ready() for worker in self._workers))
        if not all(worker.filtered for worker in self._workers):
            log.warning("decoders can open sockets and files here: there is no seccomp filter")

    async def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*(worker.buried() for worker in self._workers))

    @property
    def pids(self) -> list[int]:
        """Of the workers that run now."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def healthy(self) -> bool:
        return any(worker.failed_starts < _UNHEALTHY for worker in self._workers)

    async def decode(
        self,
        upload: int,
        job: DecodeJob,
        on_frame: Callable[[int, int], None] = lambda done, of: None,
    ) -> DecodedUpload:
        """Decode the file behind a descriptor; waits for a free worker.

        `on_frame` hears, on the event loop, how many frames of how many are decoded, now and then,
        if the job asks for progress.

        Raises the errors of `model_store.clip`, DecoderFailed, DecoderTimeout, DecoderInterrupted,
        DecoderUnavailable. Cancelling it stops the decoding.
        """
        worker = await self._idle.get()
        try:
            memory = await worker.hand_over(upload, job, self._cpu_s)
            began, used = time.monotonic(), worker.processor_s()
            with memory:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        answer = await worker.answer(on_frame)
                except TimeoutError as error:
                    raise self._overdue(worker.processor_s() - used) from error
                return _result(answer, memory, job, time.monotonic() - began)
        except (NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim):
            raise
        except BaseException:
            worker.kill()
            raise
        finally:
            if worker.clips >= self._clips_per_worker:
                worker.kill()
            worker.restart()
            self._idle.put_nowait(worker)

    def _overdue(self, spent_s: float) -> DecoderTimeout | DecoderInterrupted:
        """Whose fault it is that a clip took more than the wall clock allows."""
        spent = f"{spent_s:.1f} s of processor time in {self._timeout_s:g} s"
        if spent_s >= min(self._cpu_s, _BUSY_SHARE * self._timeout_s):
            return DecoderTimeout(spent)
        return DecoderInterrupted(f"the machine is busy: {spent}")


class _Worker:
    """One process and its successors."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._is_ready = False
        self._burials: set[asyncio.Future[int]] = set()
        self.clips = 0
        self.failed_starts = 0
        self.filtered = False
        """Whether the process can open neither sockets nor files."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def processor_s(self) -> float:
        """Processor time of the process until now; 0 where the system does not say."""
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user, system

    async def ready(self) -> None:
        """A process that waits for a job, started if need be.   Raises DecoderUnavailable."""
        if self._process is not None and self._process.poll() is not None:
            self.kill()  # it died while it had nothing to do
        try:
            if self._process is None:
                self._start()
            if not self._is_ready:
                async with asyncio.timeout(_START_S):
                    self.filtered = (await self._receive()).get("filtered") is True
                self._is_ready = True
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            self.failed_starts += 1
            log.error("no decode worker can be started", exc_info=True)
            raise DecoderUnavailable("no decoder can be started") from error
        self.failed_starts = 0

    def restart(self) -> None:
        """Have the next process start now, if there is none; `ready` says whether it could."""
        if self._process is None:
            with contextlib.suppress(OSError):
                self._start()

    async def hand_over(self, upload: int, job: DecodeJob, cpu_s: int) -> "ClipMemory":
        """Give a job to a process that takes it; the memory is where its pixels will be.

        A process found dead before it has looked at the job is replaced, a few times.
        """
        for _ in range(_UNHEALTHY):
            await self.ready()
            assert self._socket is not None
            memory = ClipMemory(job.spec.frames * job.spec.height * job.spec.width * 3)
            try:
                content = job.to_json(cpu_s)
                parts = [LENGTH.pack(len(content)), content]
                socket.send_fds(self._socket, parts, [upload, memory.descriptor])
                async with asyncio.timeout(_TAKE_S):
                    await self._receive()  # it has taken the job
            except (OSError, EOFError, ValueError):
                memory.close()
                self.kill()
            except BaseException:
                memory.close()
                raise
            else:
                self.clips += 1
                return memory
        raise DecoderUnavailable("decoders die before they begin")

    async def answer(self, on_frame: Callable[[int, int], None]) -> dict[str, Any]:
        """To the job handed over; not yet checked.

        Raises DecoderFailed, DecoderTimeout, DecoderInterrupted.
        """
        try:
            for _ in range(_MAX_PROGRESS):
                message = await self._receive()
                if "done" not in message:
                    return message
                progress = _Progress.model_validate(message)
                on_frame(progress.done, progress.of)
            raise ValueError("progress without end")
        except (OSError, EOFError, ValueError) as error:
            cause = await self._cause()
            if cause == "SIGXCPU":
                raise DecoderTimeout("all the processor time that a clip may take") from error
            if cause in _KILLED:
                raise DecoderInterrupted(f"the decoder was killed ({cause})") from error
            raise DecoderFailed(f"the decoder stopped ({cause})") from error

    def kill(self) -> None:
        """At once, whatever it is doing."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            loop = asyncio.get_running_loop()
            burial = loop.run_in_executor(None, self._process.wait)
            self._burials.add(burial)
            burial.add_done_callback(self._burials.discard)
        self._process = self._socket = None
        self._is_ready = False
        self.clips = 0

    async def buried(self) -> None:
        """Every process that was killed is gone."""
        await asyncio.gather(*self._burials)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",  # the working directory is no place to import from
                        "-m",
                        "service.decode.worker",
                        str(theirs.fileno()),
                        str(self._memory_bytes),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    env=_environment(),
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._socket = ours

    async def _receive(self) -> dict[str, Any]:
        (size,) = LENGTH.unpack(await self._read(LENGTH.size))
        if size > _MAX_ANSWER:
            raise ValueError(f"an answer of {size} bytes")
        answer: dict[str, Any] = json.loads(await self._read(size))
        return answer

    async def _read(self, size: int) -> bytes:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        content = bytearray()
        while len(content) < size:
            part = await loop.sock_recv(self._socket, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    async def _cause(self) -> str:
        """How the process ended, if it did."""
        assert self._process is not None
        try:
            code = await asyncio.to_thread(self._process.wait, timeout=1.0)
        except subprocess.TimeoutExpired:
            return "no answer"
        return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _result(
    answer: dict[str, Any], memory: ClipMemory, job: DecodeJob, seconds: float
) -> DecodedUpload:
    try:
        checked = _ANSWER.validate_python(answer)
    except ValidationError as error:
        raise DecoderFailed("the decoder's answer makes no sense") from error
    if isinstance(checked, _Refusal):
        raise _REFUSALS.get(checked.error, UnusableClip)(checked.detail)
    if isinstance(checked, _Surprise):
        log.error("decoding failed in an unknown way", extra={"traceback": checked.traceback})
        raise UnusableClip("the file cannot be decoded")
    times = np.array([np.nan if t is None else t for t in checked.times])
    if times.shape != (job.spec.frames,):
        raise DecoderFailed("the decoder's answer makes no sense")
    info = dataclasses.replace(checked.info, sha256=job.sha256)
    clip = PreparedClip(
        frames=memory.frames(job.spec), times=times, info=info, warnings=checked.warnings
    )
    return DecodedUpload(clip, checked.pictures, seconds)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
