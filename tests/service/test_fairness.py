"""A client that sends as much as it can, and another one that sends an ordinary clip at a time."""

import contextlib
import functools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from model_store.store import Store
from service.machine import usable_cpus
from tests.clips import clip_bytes, clip_of, moving_square
from tests.servers import COMMAND, LiveServer, children_of, live_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FEW, MANY = ("Bearer few", "Bearer many")
AT_ONCE = 16
IDLE, SIEGE_S = 30, 30.0


def ordinary() -> bytes:
    return clip_bytes(height=240, width=320)


def long() -> bytes:
    """2,400 pictures of full HD in a few megabytes."""
    return full_hd(200) * 12


def a_second() -> bytes:
    """It begins in the decoder for short clips, and ends in another one."""
    return full_hd(200) * 3


@functools.cache
def full_hd(frames: int) -> bytes:
    square = moving_square(frames, 68, 120)  # every picture differs from the last
    pictures = (np.kron(frame, np.ones((16, 16, 1), np.uint8))[:1080] for frame in square)
    options = {"preset": "ultrafast", "qp": "40"}
    return clip_of(pictures, container="mpegts", options=options)


def half_a_second() -> bytes:
    """About as long as a clip may be that counts as a short one."""
    return clip_bytes(frames=151, height=720, width=1280)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("fairness")
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with live_server(
        Store().root,
        folder,
        command=COMMAND,
        environment=environment,
        api_keys="few,many",
        checkpoints="diving",
        engine="auto",
        engine_threads=usable_cpus(),
        decode_workers=usable_cpus() + 1,
        batch_clips=8,
        result_cache_bytes=0,
    ) as server:
        yield server


def ask(server: LiveServer, clip: bytes, key: str, timeout_s: float = 120.0) -> tuple[int, float]:
    """Status and seconds of a request."""
    began = time.monotonic()
    response = httpx.post(
        f"{server.url}/score",
        files={"clip": clip},
        headers={"authorization": key},
        timeout=timeout_s,
    )
    return response.status_code, time.monotonic() - began


@contextmanager
def siege(server: LiveServer, clip: bytes) -> Iterator[Counter[int]]:
    """A client keeps sixteen clips in flight; how its requests have ended."""
    over, statuses = threading.Event(), Counter[int]()

    def keep_asking() -> None:
        while not over.is_set():
            with contextlib.suppress(httpx.TransportError):
                statuses[ask(server, clip, MANY)[0]] += 1

    threads = [threading.Thread(target=keep_asking, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def p95(seconds: Sequence[float]) -> float:
    return float(np.quantile(seconds, 0.95))


@pytest.mark.parametrize("clip", [long, a_second, half_a_second, ordinary])
def test_another_client_waits_at_most_four_times_as_long(server: LiveServer, clip: object) -> None:
    content: bytes = clip()  # type: ignore[operator]
    idle = [ask(server, ordinary(), FEW)[1] for _ in range(IDLE)]
    answers = []
    with siege(server, content) as others:
        until = time.monotonic() + SIEGE_S
        while time.monotonic() < until:
            answers.append(ask(server, ordinary(), FEW))
    waits = [seconds for _, seconds in answers]
    print(
        f"\n{getattr(clip, '__name__', '')}, {len(content) / 1e6:.2f} MB: idle p95"
        f" {1e3 * p95(idle):.0f} ms, besieged {1e3 * p95(waits):.0f} ms"
        f" ({p95(waits) / p95(idle):.1f} times), worst {max(waits):.2f} s,"
        f" {len(answers)} answers; the other client's: {dict(others)}"
    )
    assert {status for status, _ in answers} == {200}
    assert p95(waits) <= 4 * p95(idle)


def test_clients_that_hang_up_cost_others_little(server: LiveServer) -> None:
    """Ten a second; their decoders stop by themselves and need not be started again."""
    decoders = {*children_of(server.process.pid)}
    idle = [ask(server, ordinary(), FEW)[1] for _ in range(IDLE)]
    over = threading.Event()

    def hang_up() -> None:
        while not over.wait(0.1):
            with contextlib.suppress(httpx.TransportError):
                ask(server, half_a_second(), MANY, timeout_s=0.05)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        answers = [ask(server, ordinary(), FEW) for _ in range(2 * IDLE)]
    finally:
        over.set()
        thread.join()
    waits = [seconds for _, seconds in answers]
    restarts = len({*children_of(server.process.pid)} - decoders)
    print(
        f"\nidle p95 {1e3 * p95(idle):.0f} ms, with hang-ups {1e3 * p95(waits):.0f} ms,"
        f" {restarts} decoders restarted"
    )
    assert {status for status, _ in answers} == {200}
    assert p95(waits) <= 3 * p95(idle)
    assert restarts <= 1
