"""The CUDA engine on a GPU: what only its kernels, its memory and its graphs can show."""

import dataclasses
import gc
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model_store.engines import Engine, make_engine
from model_store.engines.cuda_device import WARM_UPS, CudaDevice, exact_kernels, fast_kernels
from model_store.engines.cuda_network import in_turn
from model_store.engines.torch_cuda import CudaRuntime
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT
from model_store.spec import ClipSpec
from tests.checkpoints import TINY, tiny_network, tiny_spec, tiny_store
from tests.clips import clip_bytes
from tests.engine_clips import ON_A_GPU, random_clips, scores_of
from tests.servers import running_app

pytestmark = ON_A_GPU


def on_gpu(network: FragmentNetwork) -> tuple[Engine, CudaRuntime]:
    engine = make_engine(network, name="cuda")
    assert isinstance(engine.runtime, CudaRuntime)
    return engine, engine.runtime


@pytest.fixture
def gpu_engine(network: FragmentNetwork) -> Iterator[tuple[Engine, CudaRuntime]]:
    engine, runtime = on_gpu(network)
    yield engine, runtime
    engine.close()


def test_every_batch_size_is_within_a_quarter_of_a_point(
    network: FragmentNetwork, spec: ClipSpec, gpu_engine: tuple[Engine, CudaRuntime]
) -> None:
    engine, runtime = gpu_engine
    clips = random_clips(spec, 37)
    expected = scores_of(make_engine(network, name="torch").score(clips))
    for size in engine.preparations(32):
        engine.prepare(size)
    for count in (1, 3, 5, 8, 11, 16, 20, 32, 37, 2):
        answer = scores_of(engine.score(clips[:count]))
        np.testing.assert_allclose(answer, expected[:count], atol=0.25)
    assert sorted(runtime.graphs) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]


def test_graphs_replayed_in_any_order_do_not_disturb_one_another(
    spec: ClipSpec, gpu_engine: tuple[Engine, CudaRuntime]
) -> None:
    """They share one pool of memory."""
    engine, _ = gpu_engine
    clips = random_clips(spec, 12)
    first = {count: scores_of(engine.score(clips[:count])) for count in (12, 8, 3, 1)}
    for count in (3, 12, 1, 8, 12, 3):
        again = scores_of(engine.score(clips[:count]))
        np.testing.assert_allclose(again, first[count], atol=1e-3)


def test_a_replay_gives_what_its_kernels_give_one_by_one(
    spec: ClipSpec, gpu_engine: tuple[Engine, CudaRuntime]
) -> None:
    """Side by side on streams and recorded, or in turn: a race would show here."""
    engine, runtime = gpu_engine
    for seed in range(5):
        [clip] = random_clips(spec, 1, seed=seed)
        upload = engine.upload(clip)
        replayed, _ = runtime.values([upload.pixels], engine.looks)
        with runtime.device.on(runtime.device.compute), torch.inference_mode(), fast_kernels():
            runtime.device.after(upload.pixels.copied)
            answer, _, _ = runtime.network(upload.pixels.pixels[None], in_turn)
            features = answer.cpu()
        np.testing.assert_allclose(replayed, features, atol=0.01 * np.abs(replayed).max())


def test_the_mean_of_views_that_are_made_on_the_gpu() -> None:
    spec = tiny_spec("vault")
    network = tiny_network(spec, dataclasses.replace(TINY, views=4), seed=5)
    engine, _ = on_gpu(network)
    clips = random_clips(spec, 9)
    expected = scores_of(make_engine(network, name="torch").score(clips))
    np.testing.assert_allclose(scores_of(engine.score(clips)), expected, atol=0.25)
    engine.close()


def test_a_new_engine_in_the_place_of_an_old_one_takes_no_more_memory() -> None:
    spec = tiny_spec("vault").with_size((112, 112), (112, 112))
    network = tiny_network(spec, COMPACT, seed=1)

    def made_and_closed() -> int:
        engine, _ = on_gpu(network)
        for size in engine.preparations(8):
            engine.prepare(size)
        used = torch.cuda.memory_reserved()
        engine.close()
        assert used > torch.cuda.memory_reserved() + (50 << 20)
        return torch.cuda.memory_reserved()

    gc.collect()
    gc.disable()
    try:
        left = [made_and_closed() for _ in range(3)]
    finally:
        gc.enable()
    assert left[2] <= left[0]


def test_a_gpu_with_little_room_runs_smaller_batches(caplog: pytest.LogCaptureFixture) -> None:
    spec = tiny_spec("vault").with_size((112, 112), (112, 112))
    few = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or few)  # conftest leaves one, with which this takes long
    network = tiny_network(spec, dataclasses.replace(COMPACT, width=1.0), seed=1)
    torch.set_num_threads(few)
    engine, runtime = on_gpu(network)
    clips = random_clips(spec, 4)
    expected = scores_of(engine.score(clips))
    _, total = torch.cuda.mem_get_info()
    room = torch.cuda.memory_reserved() + (1 << 30)  # what 32 places take and more
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        for size in engine.preparations(32):
            engine.prepare(size)
        answer = scores_of(engine.score(np.concatenate([clips] * 8)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        engine.close()
    assert max(runtime.sizes) < 32
    assert "do not fit, others will do" in caplog.text
    np.testing.assert_allclose(answer, np.concatenate([expected] * 8), atol=0.25)


def test_a_capture_that_breaks_off_does_not_keep_others_from_theirs() -> None:
    """The second of three jobs side by side finds no memory: once while it is recorded."""
    device, runs = CudaDevice(), 0

    def lacking() -> Tensor:
        nonlocal runs
        runs += 1
        if runs > WARM_UPS:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return torch.zeros(4, device=device.torch_device)

    def one() -> Tensor:
        return torch.ones(4, device=device.torch_device)

    def work(second: Callable[[], Tensor]) -> tuple[Tensor, ...]:
        return tuple(device.side_by_side([one, second, one]))

    with device.on(device.compute), torch.inference_mode(), fast_kernels():
        with pytest.raises(torch.OutOfMemoryError):
            device.record(partial(work, lacking))
        recording, answer = device.record(partial(work, one))
        recording.replay()
        device.wait()
        assert sum(float(each.sum()) for each in answer) == 12
    recording.reset()


def test_the_reference_on_a_gpu_is_float32() -> None:
    """TF32 would be a thousand times less exact."""
    device = CudaDevice().torch_device
    random = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 32, 4, 16, 16, generator=random), torch.randn(32, 32, 3, 3, 3)
    exact = torch.nn.functional.conv3d(x.double(), weight.double(), padding=1)

    def error() -> float:
        found = torch.nn.functional.conv3d(x.to(device), weight.to(device), padding=1)
        return float((found.cpu().double() - exact).norm() / exact.norm())

    with exact_kernels():
        assert error() < 1e-6


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_service_scores_a_clip(tmp_path: Path) -> None:
    store = tiny_store(tmp_path)
    async with running_app(store, engine="cuda", checkpoints="diving", batch_clips=8) as app:
        answer = await app.score(clip_bytes(frames=60))
        assert answer.status_code == 200
        metrics = (await app.client.get("/metrics")).text
    assert 'engine="cuda"' in metrics
    assert "score_gpu_memory_bytes" in metrics
