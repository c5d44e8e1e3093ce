"""More than it can do, and for long. SHORT=1 in the environment makes it minutes."""

import asyncio
import functools
import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_store.store import Store
from tests.clips import audio_only, clip_bytes, still_png
from tests.servers import LiveServer, children_of, live_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SHORT = "SHORT" in os.environ
OVERLOAD_S = 40.0 if SHORT else 60.0
SOAK_REQUESTS = 500 if SHORT else 5000


@functools.cache
def good() -> list[bytes]:
    """Decoding one costs the service more than sending it costs the test."""
    return [clip_bytes(seed=seed, height=360, width=480) for seed in range(8)]


@functools.cache
def bad() -> list[bytes]:
    whole, other = good()[:2]
    cut = [whole[:-2000], other[: len(other) // 2]]
    return [b"", b"no video", still_png(), audio_only(), *cut]


@dataclass(frozen=True)
class Answer:
    status: int
    seconds: float
    retry_after: str | None
    score: float | None
    clip: int


@dataclass(frozen=True)
class Usage:
    memory: int  # bytes, of the service without its decoders
    threads: int
    descriptors: int
    children: int

    @classmethod
    def of(cls, server: LiveServer) -> "Usage":
        process = Path(f"/proc/{server.process.pid}")
        status = dict(
            line.split(":\t", 1) for line in (process / "status").read_text().splitlines()
        )
        return cls(
            memory=int(status["VmRSS"].split()[0]) * 1024,
            threads=int(status["Threads"]),
            descriptors=len(os.listdir(process / "fd")),
            children=len(children_of(server.process.pid)),
        )


async def ask(client: httpx.AsyncClient, number: int) -> Answer:
    began = time.monotonic()
    response = await client.post("/score", files={"clip": good()[number % len(good())]})
    ok = response.status_code == 200
    return Answer(
        status=response.status_code,
        seconds=time.monotonic() - began,
        retry_after=response.headers.get("retry-after"),
        score=response.json()["score"] if ok else None,
        clip=number % len(good()),
    )


def client_of(server: LiveServer) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits)


async def capacity(server: LiveServer, seconds: float, clients: int = 4) -> float:
    """Clips a second when there is always one waiting, and no more than the queue takes."""
    until, done = time.monotonic() + seconds, 0

    async def keep_asking(first: int) -> None:
        nonlocal done
        for number in itertools.count(first):
            if time.monotonic() >= until:
                return
            answer = await ask(client, number)  # before `done` is read
            done += answer.status == 200

    async with client_of(server) as client:
        began = time.monotonic()
        await asyncio.gather(*(keep_asking(first) for first in range(clients)))
        return done / (time.monotonic() - began)


async def arrivals(server: LiveServer, rate: float, seconds: float) -> list[Answer]:
    """So many requests a second, whatever becomes of those before."""
    tasks = []
    async with client_of(server) as client:
        began = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(ask(client, number)))
        return await asyncio.gather(*tasks)


def test_at_twice_the_capacity_goodput_stays(store: Store, tmp_path: Path) -> None:
    with live_server(
        store.root, tmp_path, checkpoints="diving", queue_fragments=48, batch_clips=4
    ) as server:
        asyncio.run(capacity(server, 3.0))  # warm
        alone = {i: server.score(clip).json()["score"] for i, clip in enumerate(good())}
        measured = asyncio.run(capacity(server, OVERLOAD_S / 2))
        before = Usage.of(server)
        began = time.monotonic()
        answers = asyncio.run(arrivals(server, 2 * measured, OVERLOAD_S))
        goodput = sum(a.status == 200 for a in answers) / (time.monotonic() - began)
        after = Usage.of(server)
        assert server.score(good()[0]).status_code == 200
    refused = [a for a in answers if a.status == 429]
    print(f"{len(refused)} of {len(answers)} refused at twice {measured:.1f} clips/s")
    assert refused
    waits = np.array([a.seconds for a in refused])
    print(
        f"\ncapacity {measured:.1f} clips/s, goodput at twice that {goodput:.1f}"
        f" ({goodput / measured:.2f}), {len(refused)} of {len(answers)} refused,"
        f" in {1e3 * np.median(waits):.0f} ms (median), {1e3 * np.quantile(waits, 0.99):.0f} ms"
        f" (99 %), memory {(after.memory - before.memory) / 1e6:+.1f} MB"
    )
    assert {a.status for a in answers} == {200, 429}
    assert goodput >= 0.8 * measured
    assert np.median(waits) < 0.5
    assert {1 <= int(a.retry_after or 0) <= 60 for a in refused} == {True}
    assert after.memory - before.memory < 50e6
    for answer in answers:  # the same under load as alone
        if answer.score is not None:
            assert answer.score == pytest.approx(alone[answer.clip], abs=1e-3)


def contents(server: LiveServer, numbers: Sequence[int]) -> Counter[int]:
    """The statuses of requests good and bad, four at a time, some of which hang up."""

    async def one(client: httpx.AsyncClient, number: int) -> int:
        clip = bad()[number // 3 % len(bad())] if number % 3 == 2 else good()[number % len(good())]
        try:
            hurry = 0.02 if number % 17 == 0 else 120.0
            response = await client.post("/score", files={"clip": clip}, timeout=hurry)
        except httpx.TimeoutException:
            return 499
        return response.status_code

    async def all_of_them() -> Counter[int]:
        waiting = iter(numbers)
        statuses: Counter[int] = Counter()

        async def keep_asking() -> None:
            for number in waiting:
                statuses[await one(client, number)] += 1

        async with client_of(server) as client:
            await asyncio.gather(*(keep_asking() for _ in range(4)))
        return statuses

    return asyncio.run(all_of_them())


def test_thousands_of_requests_leave_nothing_behind(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("TMPDIR", str(uploads))
    with live_server(
        store.root, tmp_path, checkpoints="diving", result_cache_bytes=1 << 20
    ) as server:
        monkeypatch.delenv("TMPDIR")
        tempfile.tempdir = None
        step = SOAK_REQUESTS // 10
        statuses: Counter[int] = Counter()
        usages = []
        for first in range(0, SOAK_REQUESTS, step):
            statuses += contents(server, range(first, first + step))
            time.sleep(1.0)  # connections that were left close
            usages.append(Usage.of(server))
        left = list(uploads.iterdir())
    memory = np.array([usage.memory for usage in usages[2:]]) / 1e6
    slope = np.polyfit(np.arange(len(memory)) * step / 1000, memory, 1)[0]
    print(f"\n{dict(statuses)}, memory {memory} MB, {slope:+.2f} MB a thousand; {usages[-1]}")
    assert set(statuses) <= {200, 400, 415, 422, 499}
    assert sum(statuses.values()) == SOAK_REQUESTS
    assert slope < (10.0 if SHORT else 2.0)
    for name in ("threads", "descriptors", "children"):
        seen = [getattr(usage, name) for usage in usages[2:]]
        assert max(seen) - min(seen) <= 2, (name, seen)
    assert not left
