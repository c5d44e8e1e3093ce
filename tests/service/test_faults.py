"""What breaks around the service: processes, disks, descriptors, clients, clocks, devices."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from model_store.store import Store
from tests.clips import clip_bytes, large_clip
from tests.servers import COMMAND, LiveServer, children_of, live_server, running_app, until

CLIP = clip_bytes(frames=40)
IN_A_SMALL_TEMP_FOLDER = (
    "unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$TMPDIR" && exec "$@"', "sh",
)  # fmt: skip
WITH_FEW_DESCRIPTORS = ("sh", "-c", 'ulimit -n 100 && exec "$@"', "sh")
DEVICE_FAILS = """
import sys
from model_store.errors import EngineLost
from model_store.scorer import Scorer
from service.server import main
good, check = Scorer.score, Scorer.check_golden
def fail(self, clips):
    raise EngineLost("CUDA error: an illegal memory access was encountered")
def check_and_break(self):
    error = check(self)
    Scorer.score = fail
    return error
Scorer.check_golden = check_and_break
sys.exit(main())
"""

ENGINE_HANGS = """
import ctypes, sys
from model_store.scorer import Scorer
from service.server import main
check, where = Scorer.check_golden, sys.argv[1]
def hang(self, clips=()):
    open("hangs", "w").close()
    ctypes.CDLL(None).pause()  # in native code, like an engine
def compute(self, clips):
    open("hangs", "w").close()
    while True:
        score(self, clips)
score = Scorer.score
def check_and_hang(self):
    error = check(self)
    Scorer.score = compute if where == "computing" else hang
    return error
Scorer.check_golden = hang if where == "loading" else check_and_hang
sys.exit(main())
"""


@pytest.fixture(scope="module")
def exposed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(
        store.root,
        tmp_path_factory.mktemp("exposed"),
        checkpoints="diving",
        head_timeout_s=5,
        body_timeout_s=5,
        max_connections=220,
    ) as server:
        yield server


def request_bytes(clip: bytes) -> bytes:
    body = httpx.Request("POST", "http://x/score", files={"clip": clip})
    content = body.read()
    head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Content-Type: {body.headers['content-type']}\r\n\r\n".encode() + content


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_lost_in_the_middle_of_a_clip_costs_that_clip_alone(
    store: Store, sent: signal.Signals
) -> None:
    async with running_app(store, checkpoints="diving", decode_timeout_s=8) as app:
        workers = app.service._pool.workers
        task = asyncio.create_task(app.score(large_clip()))
        while not (busy := [worker.pid for worker in workers if worker.clips]):
            await asyncio.sleep(0.001)  # until one has taken the clip
        assert busy[0] is not None
        os.kill(busy[0], sent)
        others = []
        while not task.done():
            others.append((await app.score(CLIP)).status_code)
        lost = await task
        assert lost.status_code == 503  # not the clip's fault: it may come again
        assert lost.json()["type"] == "/problems/decoder-interrupted"
        assert 1 <= int(lost.headers["retry-after"]) == lost.json()["retry_after_s"] <= 60
        assert set(others) <= {200}
        assert (await app.score(large_clip())).status_code == 200
        assert (await app.client.get("/livez")).status_code == 200


@pytest.mark.anyio
async def test_the_deadline_reaches_a_clip_that_is_being_decoded(store: Store) -> None:
    async with running_app(store, checkpoints="diving", decode_workers=1, deadline_s=1) as app:
        [worker] = app.service._pool.pids
        os.kill(worker, signal.SIGSTOP)
        assert (await app.score(CLIP)).status_code == 504
        assert app.service.admission.fragments == 0
        async with asyncio.timeout(20):
            while worker in app.service._pool.pids:  # it does not stop when it is asked to
                await asyncio.sleep(0.05)


@pytest.mark.anyio
async def test_a_clock_that_jumps_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits and deadlines are measured on the monotonic clock."""
    async with running_app(store, checkpoints="diving", deadline_s=30) as app:
        days = iter(range(10_000))
        monkeypatch.setattr(time, "time", lambda: 86_400.0 * next(days) * (-1) ** next(days))
        answer = await app.score(CLIP)
        assert answer.status_code == 200
        assert 0 < answer.json()["timings_ms"]["total"] < 30_000


def test_a_full_temp_folder_is_507_and_passes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "uploads")}
    works = subprocess.run([*IN_A_SMALL_TEMP_FOLDER, "true"], env=environment, check=False)
    if works.returncode:
        pytest.skip("needs a mount namespace")
    command = ("env", f"TMPDIR={tmp_path / 'uploads'}", *IN_A_SMALL_TEMP_FOLDER, *COMMAND)
    with live_server(store.root, tmp_path, command=command, checkpoints="diving") as server:
        for _ in range(2):
            full = server.score(CLIP + bytes(3_000_000))
            assert full.status_code == 507
            assert full.json()["type"] == "/problems/no-room"
            assert server.score(CLIP).status_code == 200


def test_without_descriptors_it_waits_and_recovers(store: Store, tmp_path: Path) -> None:
    command = (*WITH_FEW_DESCRIPTORS, *COMMAND)
    with live_server(store.root, tmp_path, command=command, checkpoints="diving") as server:
        with contextlib.ExitStack() as held:
            for _ in range(120):
                connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
                held.enter_context(connection)
            until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) >= 99)
        until(lambda: server.score(CLIP).status_code == 200)
        assert server.process.poll() is None
        assert server.metric("score_decode_workers") == 2


def test_a_client_that_leaves_while_its_clip_is_decoded_frees_its_place(
    exposed: LiveServer,
) -> None:
    for worker in children_of(exposed.process.pid):
        os.kill(worker, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", exposed.port), timeout=5) as client:
        client.sendall(request_bytes(CLIP))
        until(lambda: exposed.metric("score_queue_clips") == 1)
    until(lambda: exposed.metric('score_dropped_total{stage="decode"}') == 1)
    assert exposed.metric("score_queue_fragments") == 0
    assert exposed.metric('score_requests_total{outcome="cancelled"}') == 1
    assert exposed.score(CLIP).status_code == 200


def test_sigterm_under_load_answers_all_that_was_accepted(store: Store, tmp_path: Path) -> None:
    with (
        live_server(store.root, tmp_path, checkpoints="diving", drain_s=120) as server,
        ThreadPoolExecutor(12) as threads,
    ):
        workers = children_of(server.process.pid)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)  # until all are accepted
        answers = [threads.submit(server.score, large_clip()) for _ in range(12)]
        until(lambda: server.metric("score_queue_clips") == 12)
        server.process.send_signal(signal.SIGTERM)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        assert server.process.wait(timeout=120) == 0
        assert [answer.result().status_code for answer in answers] == [200] * 12


def test_a_device_that_fails_ends_the_process(store: Store, tmp_path: Path) -> None:
    command = (sys.executable, "-c", DEVICE_FAILS)
    with live_server(
        store.root, tmp_path, command=command, ready=False, checkpoints="diving"
    ) as server:
        answer = None
        while answer is None or answer.json()["type"] == "/problems/not-ready":
            with contextlib.suppress(httpx.ConnectError):
                answer = server.score(CLIP)
            time.sleep(0.05)
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/engine-dead"
        assert server.process.wait(timeout=30) == 1


def test_an_engine_that_hangs_ends_the_process(store: Store, tmp_path: Path) -> None:
    command = (sys.executable, "-c", ENGINE_HANGS, "scoring")
    with (
        live_server(
            store.root, tmp_path, command=command, checkpoints="diving", deadline_s=2
        ) as server,
        ThreadPoolExecutor(1) as thread,
    ):
        assert server.score(CLIP).status_code == 504
        assert httpx.get(f"{server.url}/livez").status_code == 200  # it may yet come back
        began = time.monotonic()
        answer = None
        while server.process.poll() is None and time.monotonic() - began < 60:
            with contextlib.suppress(httpx.TransportError):
                waiting = thread.submit(server.score, CLIP)
                answer = waiting.result()
        assert server.process.wait(timeout=30) == 1
        assert 5 < time.monotonic() - began < 30  # five deadlines
        assert answer is not None
        assert answer.status_code in (503, 504)
        [line] = [line for line in server.log_lines() if "hangs" in line["message"]]
        assert line["level"] == "critical"


@pytest.mark.parametrize(
    "where",
    [
        "loading",
        pytest.param("scoring", marks=pytest.mark.slow),
        pytest.param("computing", marks=pytest.mark.slow),
    ],
)
def test_an_engine_that_hangs_does_not_keep_the_process_from_stopping(
    store: Store, tmp_path: Path, where: str
) -> None:
    command = (sys.executable, "-c", ENGINE_HANGS, where)
    with live_server(
        store.root,
        tmp_path,
        command=command,
        ready=where != "loading",
        checkpoints="diving",
        engine="openvino" if where == "computing" else "torch",
        deadline_s=1,
        drain_s=1,
    ) as server:
        if where != "loading":
            assert server.score(CLIP).status_code == 504
        until((tmp_path / "hangs").exists)
        assert server.terminate(timeout_s=30) == 0


def slow_lorises(server: LiveServer, held: contextlib.ExitStack) -> list[socket.socket]:
    """Half of them send their heads a byte a second, the other half their bodies."""
    lorises = []
    for number in range(200):
        loris = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        if number % 2:
            loris.sendall(request_bytes(CLIP)[:400])
        lorises.append(loris)
    return lorises


def test_200_slow_lorises_keep_nobody_from_being_served(exposed: LiveServer) -> None:
    timeouts = exposed.metric('score_requests_total{outcome="timeout"}')
    with contextlib.ExitStack() as held:
        lorises = slow_lorises(exposed, held)
        began = time.monotonic()
        while time.monotonic() - began < 8:
            for loris in lorises:
                with contextlib.suppress(OSError):
                    loris.send(b"G")
            assert exposed.score(CLIP).status_code == 200
        until(lambda: exposed.metric("score_inflight_requests") == 0)
        until(lambda: open_sockets(exposed) < 20)
        assert exposed.metric('score_requests_total{outcome="timeout"}') == timeouts + 100


def test_clients_that_never_read_are_closed(exposed: LiveServer) -> None:
    asked = 40 * b"GET /web/demo/vault.mp4 HTTP/1.1\r\nHost: x\r\n\r\n"  # more than a kernel holds
    with contextlib.ExitStack() as held:
        for _ in range(40):
            deaf = held.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            deaf.connect(("127.0.0.1", exposed.port))
            deaf.sendall(asked)
        until(lambda: open_sockets(exposed) > 40)
        until(lambda: open_sockets(exposed) < 20)
        assert exposed.score(CLIP).status_code == 200


def test_connections_beyond_the_limit_are_closed(exposed: LiveServer) -> None:
    with contextlib.ExitStack() as held:
        connections = [
            held.enter_context(socket.create_connection(("127.0.0.1", exposed.port), timeout=5))
            for _ in range(225)
        ]
        for connection in connections[-5:]:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""
        connections[0].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connections[0].recv(100).startswith(b"HTTP/1.1 200")


def open_sockets(server: LiveServer) -> int:
    return sum(name.startswith("socket:") for name in server.open_files())
