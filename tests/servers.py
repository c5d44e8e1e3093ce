"""The service for tests: in this process, or as the real command in its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from fastapi import FastAPI

from model_store.store import Store
from service.app import create_app
from service.scoring.scoring_service import ScoringService
from service.settings import Settings
from tests.forked import ForkedModule

QUICK: dict[str, Any] = {
    "engine": "torch",
    "engine_threads": 1,
    "decode_workers": 2,
    "batch_clips": 4,
    "result_cache_bytes": 0,
}


COMMAND = (sys.executable, "-m", "service")


@dataclass(frozen=True)
class App:
    app: FastAPI
    client: httpx.AsyncClient

    @property
    def service(self) -> ScoringService:
        service: ScoringService = self.app.state.service
        return service

    async def score(self, clip: bytes, **fields: str) -> httpx.Response:
        return await self.client.post("/score", files={"clip": clip}, data=fields)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Another server, such as a proxy, on a port of its own; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()


@asynccontextmanager
async def running_app(
    store: Store,
    *,
    ready: bool = True,
    on_failure: Callable[[], None] = lambda: None,
    **settings: Any,
) -> AsyncIterator[App]:
    """The application with its lifespan, without a network."""
    app = create_app(Settings(**QUICK | settings), store, on_failure)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as client,
    ):
        running = App(app, client)
        if ready:
            await asyncio.wait([running.service.loading])
            assert (await client.get("/readyz")).status_code == 200
        yield running


@dataclass
class LiveServer:
    process: subprocess.Popen[bytes] | ForkedModule
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def score(self, clip: bytes, **fields: str) -> httpx.Response:
        return httpx.post(f"{self.url}/score", files={"clip": clip}, data=fields, timeout=60)

    def raw(self, request: bytes, timeout_s: float = 20.0) -> bytes:
        """All that comes back until the service closes the connection."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(request)
            while part := connection.recv(1 << 16):
                received += part
        return received

    def metric(self, name: str) -> float:
        """The value of a series, by its name and labels as Prometheus reads them."""
        lines = httpx.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " "))

    def terminate(self, timeout_s: float = 90.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout_s)

    def open_files(self) -> list[str]:
        """What its descriptors stand for: paths, `socket:[…]`; "… (deleted)" is a removed file."""
        links = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(str(entry.readlink()))
        return links

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def live_server(
    store: Path,
    folder: Path,
    *,
    ready: bool = True,
    host: str = "127.0.0.1",
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    **settings: Any,
) -> Iterator[LiveServer]:
    """`python -m service`, or another command, on a free port.

    Without a command it is forked from a process that has imported torch already.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chosen = {f"SCORING_{k.upper()}": str(v) for k, v in (QUICK | settings).items()}
    own = {"SCORING_HOST": host, "SCORING_PORT": str(port), "SCORING_STORE": str(store)}
    log = folder / "service.log"
    process = start_service(command, {**os.environ, **environment, **chosen, **own}, folder, log)
    server = LiveServer(process, port, log)
    try:
        if ready:
            wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()


def start_service(
    command: Sequence[str] | None, environment: Mapping[str, str], folder: Path, log: Path
) -> subprocess.Popen[bytes] | ForkedModule:
    if command is None:
        return ForkedModule("service", environment, folder, log)
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )


def wait_until_ready(server: LiveServer, timeout_s: float = 240.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        try:
            if httpx.get(f"{server.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError(server.log.read_text())


def until(happened: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """A process that is dead and waits to be collected by its parent is not running."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processor_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user, system


def children_of(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                children.append(int(stat.parent.name))
    return children
