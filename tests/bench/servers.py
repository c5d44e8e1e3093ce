"""The servers that are measured, each a command in processes of its own, on loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_store.spec import DIVING
from tests.bench.load import TIMEOUT_S

START_S = 300.0


@dataclass(frozen=True, slots=True)
class Process:
    url: str
    pid: int

    def pause(self) -> None:
        """Stop the process and its children where they are: some servers poll when idle."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def memory_mb(self) -> float:
        """Of the process and its children; what they share with others is divided among them."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(map(proportional_mb, [self.pid, *map(int, children)]))


def proportional_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [kibibytes] = [line.split()[1] for line in lines if line.startswith("Pss:")]
    return int(kibibytes) * 1024 / 1e6


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(
    module: str, folder: Path, *, ready: str, arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:  # fmt: skip
    """`python -m module` with PORT set, from when `ready` answers 200 on; its log is in `folder`.

    Raises RuntimeError with the end of its log if it does not come up.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{module}-{port}.log"
    command = [sys.executable, "-m", module]
    if arguments is not None:
        command.append(json.dumps(dict(arguments)))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PORT": str(port), **(environment or {})},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait(process, url + ready, log)
        yield Process(url, process.pid)
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            if answer.status == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{url} never came up: " + log.read_text(errors="replace")[-2000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole process group: some servers leave workers behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def room_for(clients: int) -> dict[str, float]:
    """Settings of a service that refuses nobody while so many have a request each, all from one
    address; one that has been answered may not be off the books yet.
    """
    return {
        "queue_fragments": 2 * clients * DIVING.fragments,
        "client_share": 1.0,
        "deadline_s": TIMEOUT_S,
    }


@contextmanager
def service(folder: Path, **settings: object) -> Iterator[Process]:
    """Ours, with the diving checkpoint, and no answer given twice."""
    chosen = {
        "checkpoints": "diving",
        "result_cache_bytes": 0,
        "cache": folder / "cache",
        "log_level": "warning",
    } | settings
    environment = {f"SCORING_{name.upper()}": str(value) for name, value in chosen.items()}
    with running("service", folder, ready="/readyz", environment=environment) as process:
        yield process
