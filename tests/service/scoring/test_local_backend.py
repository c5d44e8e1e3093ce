"""
Checkpoints on a GPU, with a CPU in its place: clips are uploaded while others are scored, and the
engine's thread gives back what nobody has any more.
"""

import gc
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from model_store.engines.torch_cuda import CudaRuntime, OnDevice
from model_store.errors import EngineLost
from model_store.scorer import Scorer
from model_store.store import Store
from service.scoring.batcher import INFERENCE_THREAD
from service.scoring.device_memory import DEVICE_MEMORY_THREAD, DeviceMemory
from service.scoring.local_backend import UPLOAD_THREAD
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.cpu_device import CpuDevice, cuda_on_cpu
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer a-key"}
SETTINGS: dict[str, Any] = {
    "engine": "cuda",
    "checkpoints": "diving",
    "batch_clips": 2,
    "api_keys": (SecretStr("a-key"),),
}


@pytest.fixture(autouse=True)
def on_cpu() -> Iterator[None]:
    with cuda_on_cpu():
        yield


@pytest.fixture
def own(store: Store, tmp_path: Path) -> Store:
    """A store that may be changed."""
    return Store(shutil.copytree(store.root, tmp_path / "store"))


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


async def version(app: App) -> int:
    response = await app.client.post("/score", files={"clip": clip_bytes(frames=40)}, headers=KEY)
    assert response.status_code == 200
    number: int = response.json()["checkpoint"]["version"]
    return number


async def test_a_clip_is_uploaded_while_others_are_scored(own: Store, uploads: list[str]) -> None:
    async with running_app(own, **SETTINGS) as app:
        uploads.clear()
        assert await version(app) == 1
        assert uploads == [UPLOAD_THREAD]
        metrics = (await app.client.get("/metrics")).text
    assert 'engine="cuda"' in metrics
    assert "score_engine_fallbacks 0.0" in metrics


@pytest.mark.parametrize("outcome", ["fails", "hangs"])
async def test_a_clip_that_cannot_be_uploaded_ahead_is_left_to_the_engine(
    own: Store, uploads: list[str], monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    released = threading.Event()

    def upload(self: Scorer, clip: Any) -> None:
        if outcome == "hangs":
            released.wait(30)
        raise EngineLost("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Scorer, "upload", upload)
    monkeypatch.setattr("service.scoring.local_backend.UPLOAD_LIMIT_S", 0.1)
    async with running_app(own, **SETTINGS) as app:
        uploads.clear()
        assert await version(app) == 1
        assert uploads == [INFERENCE_THREAD]
        released.set()


async def test_a_gpu_that_is_lost_to_uploads_ends_the_service(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    async with running_app(own, on_failure=lambda: failures.append("failed"), **SETTINGS) as app:

        def upload(self: CudaRuntime, clip: Any) -> None:
            raise EngineLost("CUDA error: unspecified launch failure")

        monkeypatch.setattr(CudaRuntime, "upload", upload)
        files = {"clip": clip_bytes(frames=40)}
        answer = await app.client.post("/score", files=files, headers=KEY)
        assert answer.status_code == 503
        assert (await app.client.get("/livez")).status_code == 503
    assert failures == ["failed"]


async def test_an_old_version_is_closed_on_the_engines_thread(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    close = CudaRuntime.close

    def noted(self: CudaRuntime) -> None:
        closed.append(threading.current_thread().name)
        close(self)

    monkeypatch.setattr(CudaRuntime, "close", noted)
    async with running_app(own, **SETTINGS) as app:
        held = app.service.choose("diving", None)  # as a request has it
        publish_tiny(own, "diving", seed=1)
        gc.disable()
        try:
            answer = await app.client.post("/admin/reload", headers=KEY)
            assert answer.json()["released"] == ["diving@1"]
            assert await version(app) == 2
            assert closed == []
            del held
            deadline = time.monotonic() + 10
            while not closed:
                assert time.monotonic() < deadline
                assert await version(app) == 2
        finally:
            gc.enable()
    assert closed == [INFERENCE_THREAD]


async def test_one_that_cannot_be_used_is_closed_too(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(CudaRuntime, "close", lambda self: closed.append(1))
    async with running_app(own, **SETTINGS) as app:
        publish_tiny(own, "diving", seed=1)
        monkeypatch.setattr(Scorer, "check_golden", lambda self: 1 / 0)
        answer = await app.client.post("/admin/reload", headers=KEY)
        assert answer.status_code == 409
        deadline = time.monotonic() + 10
        while not closed:
            assert time.monotonic() < deadline
            gc.collect()
            assert await version(app) == 1


async def test_a_device_too_small_for_the_largest_batch_serves_with_smaller_ones(
    own: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CpuDevice, "room", 2)
    async with running_app(own, **SETTINGS | {"batch_clips": 8}) as app:
        assert await version(app) == 1
    assert "batches of 8 do not fit" in caplog.text
    assert "batches of 2 do not fit" not in caplog.text


async def test_the_memory_of_the_gpu_is_asked_for_off_the_event_loop(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()

    def ask(*given: object) -> tuple[int, int]:
        threads.add(threading.current_thread().name)
        return 1 << 30, 1 << 31

    monkeypatch.setattr("torch.cuda.mem_get_info", ask)
    async with running_app(own, **SETTINGS) as app:
        metrics = (await app.client.get("/metrics")).text
    assert f'score_gpu_memory_bytes{{kind="free"}} {float(1 << 30)}' in metrics
    assert threads == {DEVICE_MEMORY_THREAD}


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
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            memory.last()
        except RuntimeError:
            break
    with pytest.raises(RuntimeError, match="cannot be asked"):
        memory.last()
    memory.stop()
