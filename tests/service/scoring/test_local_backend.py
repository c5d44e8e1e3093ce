"""
Checkpoints on a GPU, with a CPU in its place: clips are uploaded while others are scored, and the
engine's thread gives back what nobody has any more.
"""

import asyncio
import gc
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.exposition import generate_latest
from pydantic import SecretStr

from model_store.engines.torch_cuda import CudaRuntime, OnDevice
from model_store.errors import EngineLost
from model_store.scorer import Scorer
from model_store.store import Store
from service.errors import EngineDead
from service.metrics import Metrics
from service.scoring.batcher import INFERENCE_THREAD
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.device_memory import DEVICE_MEMORY_THREAD, DeviceMemory
from service.scoring.local_backend import UPLOAD_THREAD, LocalBackend
from service.settings import Settings
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.cpu_device import CpuDevice, cuda_on_cpu
from tests.servers import running_app

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def on_cpu() -> Iterator[None]:
    with cuda_on_cpu():
        yield


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that clips were uploaded on."""
    threads: list[str] = []
    upload = CudaRuntime.upload

    def noted(self: CudaRuntime, clip: Any) -> OnDevice:
        threads.append(threading.current_thread().name)
        return upload(self, clip)

    monkeypatch.setattr(CudaRuntime, "upload", noted)
    return threads


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that engines were closed on."""
    threads: list[str] = []
    close = CudaRuntime.close

    def noted(self: CudaRuntime) -> None:
        threads.append(threading.current_thread().name)
        close(self)

    monkeypatch.setattr(CudaRuntime, "close", noted)
    return threads


@asynccontextmanager
async def running_backend(
    store: Store, on_failure: Callable[[], None] = lambda: None, *, batch_clips: int = 1
) -> AsyncIterator[LocalBackend]:
    settings = Settings(engine="cuda", batch_clips=batch_clips)
    backend = LocalBackend(settings, store, metrics=Metrics(), on_failure=on_failure)
    backend.start()
    try:
        yield backend
    finally:
        await asyncio.to_thread(backend.stop)


async def score(backend: LocalBackend, loaded: LoadedCheckpoint) -> float:
    """Of a grey clip."""
    spec = loaded.spec
    clip = np.full((spec.frames, *spec.crop, 3), 99, np.uint8)
    return (await backend.score(loaded, clip, "a client")).score.score


async def until(there: list[str], meanwhile: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + 20
    while not there:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
        meanwhile()


async def test_a_clip_is_uploaded_on_a_thread_of_its_own(store: Store, uploads: list[str]) -> None:
    async with running_backend(store) as backend:
        loaded = await backend.load("diving@1")
        uploads.clear()
        assert np.isfinite(await score(backend, loaded))
        assert uploads == [UPLOAD_THREAD]


@pytest.mark.parametrize("outcome", ["fails", "hangs"])
async def test_a_clip_that_cannot_be_uploaded_ahead_is_left_to_the_engine(
    store: Store, uploads: list[str], monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    released = threading.Event()

    def upload(self: Scorer, clip: Any) -> None:
        if outcome == "hangs":
            released.wait(30)
        raise EngineLost("CUDA error: unspecified launch failure")

    async with running_backend(store) as backend:
        loaded = await backend.load("diving@1")
        expected = await score(backend, loaded)
        monkeypatch.setattr(Scorer, "upload", upload)
        monkeypatch.setattr("service.scoring.local_backend.UPLOAD_LIMIT_S", 0.1)
        uploads.clear()
        assert await score(backend, loaded) == expected
        assert uploads == [INFERENCE_THREAD]
        released.set()


async def test_a_gpu_that_is_lost_to_uploads_ends_the_service(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(self: CudaRuntime, clip: Any) -> None:
        raise EngineLost("CUDA error: unspecified launch failure")

    failures: list[str] = []
    async with running_backend(store, lambda: failures.append("failed")) as backend:
        loaded = await backend.load("diving@1")
        monkeypatch.setattr(CudaRuntime, "upload", upload)
        with pytest.raises(EngineDead):
            await score(backend, loaded)
        assert not backend.alive
        await until(failures)


async def test_a_version_that_nobody_has_is_closed_on_the_engines_thread(
    store: Store, closed: list[str]
) -> None:
    async with running_backend(store) as backend:
        loaded = await backend.load("diving@1")
        other = await backend.load("vault@1")
        await score(backend, loaded)
        assert not closed
        gc.disable()
        try:
            del loaded
            await until(closed)
        finally:
            gc.enable()
        assert closed == [INFERENCE_THREAD]
        await score(backend, other)


async def test_one_that_cannot_be_used_is_closed_too(
    store: Store, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_backend(store) as backend:
        monkeypatch.setattr(Scorer, "check_golden", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await backend.load("diving@1")
        # The loop and threads have had the error in their hands, and an error may keep itself.
        await until(closed, gc.collect)
        assert closed == [INFERENCE_THREAD]


async def test_a_device_too_small_for_the_largest_batch_serves_with_smaller_ones(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CpuDevice, "room", 2)
    async with running_backend(store, batch_clips=4) as backend:
        await score(backend, await backend.load("diving@1"))
    assert "batches of 4 do not fit" in caplog.text
    assert "batches of 3 do not fit" in caplog.text
    assert "batches of 2 do not fit" not in caplog.text


async def test_the_memory_of_the_gpu_is_asked_for_by_one_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def ask() -> tuple[int, int]:
        threads.append(threading.current_thread().name)
        return 1 << 30, 1 << 31

    monkeypatch.setattr("torch.cuda.mem_get_info", ask)
    async with running_backend(store) as backend:
        await until(threads)
        await asyncio.sleep(0.05)
        metrics = generate_latest(backend._metrics.registry).decode()
    assert 'score_gpu_memory_bytes{kind="free"} 1.073741824e+09' in metrics
    assert set(threads) == {DEVICE_MEMORY_THREAD}


def test_a_driver_that_does_not_answer_holds_nobody_up() -> None:
    asked, released = threading.Event(), threading.Event()
    answers = [(5, 9)]

    def ask() -> tuple[int, int]:
        if answers:
            return answers.pop()
        asked.set()
        released.wait(30)
        raise RuntimeError("CUDA error: unspecified launch failure")

    memory = DeviceMemory(ask, every_s=0.01)
    with pytest.raises(RuntimeError, match="not answered"):
        memory.last()
    memory.start()
    assert asked.wait(10)
    assert memory.last() == (5, 9)  # what it answered before
    released.set()
    memory.stop()
    memory._thread.join(10)
    with pytest.raises(RuntimeError, match="cannot be asked"):
        memory.last()


async def test_a_reload_of_the_service_closes_what_it_releases(
    store: Store, tmp_path: Path, uploads: list[str], closed: list[str]
) -> None:
    own = Store(shutil.copytree(store.root, tmp_path / "store"))
    key = {"authorization": "Bearer a-key"}
    keys = (SecretStr("a-key"),)
    async with running_app(own, engine="cuda", checkpoints="diving", api_keys=keys) as app:

        async def version() -> int:
            files = {"clip": clip_bytes(frames=40)}
            answer = await app.client.post("/score", files=files, headers=key)
            number: int = answer.json()["checkpoint"]["version"]
            return number

        assert await version() == 1
        assert uploads[-1] == UPLOAD_THREAD
        publish_tiny(own, "diving", seed=1)
        answer = await app.client.post("/admin/reload", headers=key)
        assert answer.json()["released"] == ["diving@1"]
        await until(closed)
        assert await version() == 2
        metrics = (await app.client.get("/metrics")).text
    assert closed[0] == INFERENCE_THREAD
    assert 'engine="cuda"' in metrics
    assert "score_engine_fallbacks 0.0" in metrics
