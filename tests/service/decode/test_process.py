"""A real decode process: how it starts and ends, what it may, and what it may answer."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.decode.messages import LENGTH, DecodeProgress, packed
from service.decode.process import WorkerProcess
from service.errors import DecoderFailed, DecoderUnavailable
from service.logs import JsonFormatter
from tests.clips import clip_bytes
from tests.decoders import OPTIONS, decode, pool, stopped_worker

pytestmark = pytest.mark.anyio

PYTHON = sys.executable


async def test_signals_that_are_meant_for_the_service_end_no_decoder() -> None:
    """A terminal sends them to the service's group, systemd to each of its processes."""
    async with pool() as decoders:
        task = await stopped_worker(decoders)
        [pid] = decoders.pids
        assert os.getpgid(pid) != os.getpgid(0)
        assert os.getsid(pid) == os.getsid(0)  # a session of its own is scheduled apart
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCONT):
            os.kill(pid, each)
        await task
        assert decoders.pids == [pid]
        assert not {signal.SIGTERM, signal.SIGHUP} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


async def test_a_worker_ends_if_the_service_did_before_it_could_notice() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = map(str, (theirs.fileno(), os.getpid() + 1, 1 << 30, 0))
        done = subprocess.run(
            [sys.executable, "-m", "service.decode.worker", *arguments],
            pass_fds=[theirs.fileno()],
            capture_output=True,
        )
    assert done.returncode == 1
    assert done.stderr == b"the service ended before its worker was ready\n"


TAKEN_OVER = """
import contextlib, os
from service.decode import worker

LINES = b'{"level": "critical", "message": "forged"}\\n\\x1b[2J\\xff' * 1000
perform = worker.perform

def noisy(*job):
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            os.write(2, LINES)
    return perform(*job)

worker.perform = noisy
"""


async def test_what_a_decoder_writes_to_standard_error_is_quoted_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    replace_python(monkeypatch, tmp_path, f"{TAKEN_OVER}\nsys.argv = sys.argv[3:]\nworker.main()")
    async with pool() as decoders:
        for _ in range(2):
            await decode(decoders, clip_bytes())  # nobody reads meanwhile
    written = [record for record in caplog.records if hasattr(record, "standard_error")]
    assert [record.levelname for record in written] == ["WARNING"] * 2
    for record in written:
        line = JsonFormatter().format(record)
        assert line.isprintable()
        assert json.loads(line)["level"] == "warning"
        assert "forged" in json.loads(line)["standard_error"]
        assert len(line) < 6 * 4096 + 1000


async def test_why_a_worker_did_not_start_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    replace_python(monkeypatch, tmp_path, "raise SystemExit('no such library')")
    with pytest.raises(DecoderUnavailable):
        async with pool():
            pass
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(record)["ended"] == "exit 1"
    assert vars(record)["standard_error"] == "no such library\n"


@pytest.mark.parametrize("call", ["read", "lseek", "recvfrom", "fcntl"])
async def test_a_worker_that_is_confined_too_much_does_not_start(
    call: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    changed = f"from service.decode import seccomp, worker\ndel seccomp.ALLOWED['{call}']"
    replace_python(monkeypatch, tmp_path, f"{changed}\nsys.argv = sys.argv[3:]\nworker.main()")
    with pytest.raises(DecoderUnavailable):
        async with pool():
            pass
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "seccomp.py" in vars(record)["standard_error"]


def replace_python(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """What the pool starts in its place: the real worker, changed as an attacker would."""
    program = folder / "python"
    program.write_text(f"#!{PYTHON}\nimport sys\n{code}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


async def test_a_worker_has_no_secrets_no_torch_and_few_rights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCORING_API_KEYS", "a-secret")
    async with pool() as decoders:
        await decode(decoders, clip_bytes())
        process = Path(f"/proc/{decoders.pids[0]}")
        assert b"a-secret" not in (process / "environ").read_bytes()
        assert "libtorch" not in (process / "maps").read_text()
        assert "NoNewPrivs:\t1" in (process / "status").read_text()
        for thread in (process / "task").iterdir():
            assert "Seccomp:\t2" in (thread / "status").read_text()
        assert (process / "cwd").resolve() == Path("/")
        assert len(list((process / "fd").iterdir())) <= 4  # standard streams and the socket
        limits = {
            line[:26].strip(): line[26:].split()[0]
            for line in (process / "limits").read_text().splitlines()
        }
        assert limits["Max file size"] == "0"
        assert limits["Max core file size"] == "0"
        assert int(limits["Max address space"]) == 1 << 30
        assert int(limits["Max open files"]) <= 64


INFO = {"sha256": "", "decoded_frames": 1, "fps": 1.0, "width": 1, "height": 1, "codec": "",
        "duration_s": 1.0, "errors": 0}  # fmt: skip
ANSWER = {
    "info": INFO,
    "warnings": ["bars"],
    "times": [0.0, None],
    "fragment_jpegs": ["Ab+/=", None],
    "found": {"span": [0.0, 5.0], "second": None},
}
LIES: dict[str, Any] = {
    "negative progress": {"done": -1, "of": 3},
    "progress in text": {"done": "1", "of": 3},
    "half a progress": {"done": 1},
    "more than progress": {"done": 1, "of": 3, "x": 1},
    "taken again": {},
    "ready again": {"filtered": True},
    "a script as picture": ANSWER | {"fragment_jpegs": ["<script>"]},
    "an unknown warning": ANSWER | {"warnings": ["x"]},
    "a time that is no number": ANSWER | {"times": [float("nan")]},
    "a number without end": ANSWER | {"info": INFO | {"fps": float("inf")}},
    "a routine that ends before it begins": ANSWER | {"found": {"span": [5, 0], "second": None}},
    "a routine without end": ANSWER | {"found": {"span": [0, float("inf")], "second": None}},
    "a second routine before the file": ANSWER | {"found": {"span": [0, 1], "second": [-1, 1]}},
    "more than an answer": ANSWER | {"x": 1},
    "more than an answer's clip": ANSWER | {"info": INFO | {"x": 1}},
    "no answer": None,
}


async def test_what_makes_no_sense_fails_the_clip() -> None:
    async with lying_worker() as (worker, connection):
        send(connection, ANSWER)
        assert await worker.answer(lambda done, of: None)
        for name, lie in LIES.items():
            send(connection, lie)
            with pytest.raises(DecoderFailed):
                pytest.fail(f"{name}: {await worker.answer(lambda done, of: None)}")


async def test_progress_without_end_fails_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.decode.process.MAX_PROGRESS", 5)
    async with lying_worker() as (worker, connection):
        for done in range(6):
            connection.sendall(packed(DecodeProgress(done, 9)))
        with pytest.raises(DecoderFailed):
            await worker.answer(lambda done, of: None)


def send(connection: socket.socket, message: Any) -> None:
    content = json.dumps(message).encode()
    connection.sendall(LENGTH.pack(len(content)) + content)


@asynccontextmanager
async def lying_worker() -> AsyncIterator[tuple[WorkerProcess, socket.socket]]:
    """A worker whose messages the test writes."""
    worker = WorkerProcess(OPTIONS["memory_bytes"])
    worker.connection, theirs = socket.socketpair()
    worker.connection.setblocking(False)
    with worker.connection, theirs:
        yield worker, theirs
