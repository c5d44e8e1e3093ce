"""
One decode worker as the pool sees it: a process that can be killed at any time, and its successors.

The rule: a process has its own socket and no lock in common with others, is killed with SIGKILL
and by no signal that is meant for the service, is timed by the monotonic clock, and starts with an
environment that holds no secrets. What it writes to standard error is quoted in the service's log:
nothing of the service waits for it, and it never waits for the service.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from io import FileIO

from pydantic import ConfigDict, TypeAdapter, ValidationError

from service.decode.memory import ClipMemory
from service.decode.messages import (
    LENGTH,
    STOP,
    Answer,
    DecodeJob,
    DecodeProgress,
    Message,
    Ready,
    Taken,
    packed,
)
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout, DecoderUnavailable

log = logging.getLogger(__name__)

MAX_PROGRESS = 10_000  # messages of progress before an answer
_MAX_ANSWER = 8 << 20  # bytes of JSON
_START_S = 60.0  # for a worker to import its libraries on a busy machine
_TAKE_S = 5.0  # for a worker that waits to take a job; one that does not is stuck
_ALMOST = 64 << 20  # bytes: more than the largest picture takes, so the next one did not fit
_ATTEMPTS = 3  # to give a job to a process that does not die before it takes it
_FOR_THE_SERVICE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_PIPE = 1 << 20  # bytes: more than a pipe holds
_TAIL = 4096  # bytes of standard error that are logged at a time
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
_MESSAGE: TypeAdapter[Message] = TypeAdapter(
    Message, config=ConfigDict(extra="forbid", allow_inf_nan=False)
)


class WorkerProcess:
    """One process and its successors."""

    def __init__(self, memory_bytes: int, niceness: int = 0) -> None:
        """`niceness` is added to the service's own: more of it, less of a busy processor."""
        self._memory_bytes = memory_bytes
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._dying: set[asyncio.Future[int]] = set()
        self.connection: socket.socket | None = None
        self._errors: FileIO | None = None
        self.clips = 0
        """Jobs that the process has taken."""
        self.failed_starts = 0
        """In a row."""
        self.filtered = False
        """Whether the process can open neither sockets nor files."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def processor_s(self) -> float:
        """Processor time of the process until now; 0 where the system does not report it."""
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user, system

    def resident_bytes(self) -> int:
        """Of memory that the process holds now; 0 where the system does not report it."""
        return self._memory("VmRSS")

    def is_exhausted(self) -> bool:
        """Whether the process has had almost all the address space that it may have."""
        return self._memory("VmPeak") > self._memory_bytes - _ALMOST

    def _memory(self, name: str) -> int:
        try:
            with open(f"/proc/{self.pid}/status") as status:
                [kibibytes] = [line.split()[1] for line in status if line.startswith(name)]
        except (OSError, ValueError):
            return 0
        return int(kibibytes) << 10

    async def ready(self) -> None:
        """Have a process that waits for a job, or start one.   Raises DecoderUnavailable."""
        if self._process is not None and self._process.poll() is not None:
            self.kill()  # it died while it had nothing to do
        try:
            self.start()
            if not self._is_ready:
                async with asyncio.timeout(_START_S):
                    message = await self._receive()
                self.filtered = isinstance(message, Ready) and message.filtered
                self._is_ready = True
        except (OSError, EOFError, ValueError) as error:
            about = {"ended": await self._cause(), "standard_error": self._written()}
            self.kill()
            self.failed_starts += 1
            log.error("no decode worker can be started", exc_info=True, extra=about)
            raise DecoderUnavailable("no decoder can be started") from error
        self.failed_starts = 0

    async def give(self, upload: int, job: DecodeJob) -> ClipMemory:
        """Send a job to a process that takes it; the memory is where its pixels will be.

        A process that is found dead before it has read the job, or dies while it starts, is
        replaced, a few times.
        """
        for _ in range(_ATTEMPTS):
            try:
                await self.ready()
            except DecoderUnavailable:
                continue
            assert self.connection is not None
            memory = ClipMemory(job.spec)
            try:
                socket.send_fds(self.connection, [packed(job)], [upload, memory.descriptor])
                async with asyncio.timeout(_TAKE_S):
                    if not isinstance(await self._receive(), Taken):
                        raise ValueError("the job was not taken")
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

    async def answer(self, on_frame: Callable[[int, int], None]) -> Answer:
        """To the job that was taken.   Raises DecoderFailed, DecoderTimeout, DecoderInterrupted."""
        try:
            for _ in range(MAX_PROGRESS):
                message = await self._receive()
                if isinstance(message, (Ready, Taken)):
                    break
                if not isinstance(message, DecodeProgress):
                    return message
                on_frame(message.done, message.of)
        except ValidationError as error:
            raise DecoderFailed("the decoder's answer makes no sense") from error
        except (OSError, EOFError, ValueError) as error:
            cause = await self._cause()
            if cause == "SIGXCPU":
                raise DecoderTimeout("all the processor time that a clip may take") from error
            if cause == "SIGKILL":  # by the system or its operator: no clip can
                raise DecoderInterrupted(f"the decoder was killed ({cause})") from error
            raise DecoderFailed(f"the decoder stopped ({cause})") from error
        finally:
            self._log_written()
        raise DecoderFailed("the decoder's answer makes no sense")

    def ask_to_stop(self) -> None:
        """Have the process give up its job and answer at once."""
        if self.connection is not None:
            with contextlib.suppress(OSError):  # it is dead, or has much to read: see `end`
                self.connection.send(STOP)

    def end(self) -> None:
        """Kill the process; whoever waits for its answer gets DecoderInterrupted."""
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """At once, whatever it is doing."""
        loop = asyncio.get_running_loop()
        if self.connection is not None:
            loop.remove_reader(self.connection)  # else it misses the next socket of this number
            self.connection.close()
        self._log_written()
        if self._errors is not None:
            self._errors.close()
        if self._process is not None:
            self._process.kill()
            dying = loop.run_in_executor(None, self._process.wait)
            self._dying.add(dying)
            dying.add_done_callback(self._dying.discard)
        self._process = self.connection = self._errors = None
        self._is_ready = False
        self.clips = 0

    async def gone(self) -> None:
        """Wait until every process that was killed is gone."""
        await asyncio.gather(*self._dying)

    def start(self) -> None:
        """Nothing happens where a process runs already.   Raises OSError."""
        if self._process is not None:
            return
        self.connection, theirs = socket.socketpair()
        self.connection.setblocking(False)
        with theirs:
            reading, writing = os.pipe()
            self._errors = FileIO(reading)
            with FileIO(writing, "w") as errors:
                for end in (reading, writing):
                    os.set_blocking(end, False)  # who writes more than the pipe holds loses it
                self._process = self._popen(theirs.fileno(), errors)

    def _popen(self, connection: int, errors: FileIO) -> subprocess.Popen[bytes]:
        arguments = connection, os.getpid(), self._memory_bytes, self._niceness
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_SERVICE)  # the process inherits it
        try:
            return subprocess.Popen(
                # -P: import nothing from the working directory
                [sys.executable, "-P", "-m", "service.decode.worker", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[connection],
                process_group=0,
                cwd="/",
                env=_environment(),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _written(self) -> str:
        """The end of what the process has written to standard error since the last time."""
        written = self._errors.read(_PIPE) if self._errors is not None else None
        return (written or b"")[-_TAIL:].decode(errors="replace")

    def _log_written(self) -> None:
        if written := self._written():
            about = {"pid": self.pid, "standard_error": written}
            log.warning("a decode worker wrote to standard error", extra=about)

    async def _receive(self) -> Message:
        (size,) = LENGTH.unpack(await self._read(LENGTH.size))
        if size > _MAX_ANSWER:
            raise ValueError(f"an answer of {size} bytes")
        return _MESSAGE.validate_json(await self._read(size), strict=True)

    async def _read(self, size: int) -> bytes:
        assert self.connection is not None
        loop = asyncio.get_running_loop()
        content = bytearray()
        while len(content) < size:
            part = await loop.sock_recv(self.connection, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    async def _cause(self) -> str:
        """How the process ended, if it did."""
        if self._process is None:
            return "not started"
        try:
            code = await asyncio.to_thread(self._process.wait, timeout=1.0)
        except subprocess.TimeoutExpired:
            return "no answer"
        return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
