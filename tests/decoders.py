"""The real decode pool with real processes, for tests, and clips that are hard for it."""

import asyncio
import functools
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from model_store.clip import ClipLimits
from model_store.spec import DIVING
from service.decode.pool import DecodedUpload, DecodeJob, DecodePool
from tests.clips import clip_of, large_clip

SPEC = DIVING.with_size((32, 32), (32, 32))
SHA256 = "c" * 64
JOB = DecodeJob(spec=SPEC, limits=ClipLimits(), sha256=SHA256)
OPTIONS: dict[str, Any] = {
    "workers": 1,
    "timeout_s": 20.0,
    "cpu_s": 20,
    "memory_bytes": 1 << 30,
    "clips_per_worker": 100,
}


@asynccontextmanager
async def pool(**options: Any) -> AsyncIterator[DecodePool]:
    pool = DecodePool(**OPTIONS | options)
    await pool.start()
    try:
        yield pool
    finally:
        pids = pool.pids
        await pool.stop()
        assert not any(map(exists, pids))


async def decode(
    pool: DecodePool, content: bytes, job: DecodeJob = JOB, *, client: str = ""
) -> DecodedUpload:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return await pool.decode(file.fileno(), job, client=client)


async def stopped_worker(pool: DecodePool) -> "asyncio.Task[DecodedUpload]":
    """A decoding whose process stands still in the middle of it."""
    before = [worker.clips for worker in pool.workers]
    task = asyncio.create_task(decode(pool, large_clip()))
    while (now := [worker.clips for worker in pool.workers]) == before:
        await asyncio.sleep(0)
    [busy] = [w for w, a, b in zip(pool.workers, before, now, strict=True) if a != b]
    assert busy.pid is not None
    os.kill(busy.pid, signal.SIGSTOP)
    return task


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@functools.cache
def costly() -> bytes:
    """More than two seconds of processor time to decode, and little to encode."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 480, 640, 3), dtype=np.uint8)
    options = {"preset": "ultrafast", "qp": "4"}
    return clip_of(noise, container="mpegts", options=options) * 20
