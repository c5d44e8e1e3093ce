"""The CUDA engine on a CPU: batch sizes, memory, number types and errors; all but the kernels."""

import contextlib
import dataclasses
import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from model_store.engines import Engine, Upload, make_engine
from model_store.engines.cuda_network import HalfExtraction, Layer, in_turn
from model_store.engines.engine import Look, in_every_view
from model_store.engines.parts import Extraction, Parts
from model_store.engines.torch_cuda import CudaRuntime, arranged, named_errors
from model_store.errors import EngineError, EngineLost, EngineOutOfMemory
from model_store.network import FragmentNetwork
from model_store.spec import ClipSpec
from tests.checkpoints import TINY, tiny_network, tiny_spec
from tests.cpu_device import CpuDevice, cuda_on_cpu
from tests.engine_clips import random_clips, scores_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(spec: ClipSpec) -> FragmentNetwork:
    """With both outputs; two extractors, since processors are slow at half precision."""
    shape = dataclasses.replace(
        TINY, target="both", readout=True, other_kind=True, fragments_used=(1, 3)
    )
    return tiny_network(spec, shape, seed=2)


def on_cpu(network: FragmentNetwork) -> tuple[Engine, CudaRuntime]:
    with cuda_on_cpu():
        engine = make_engine(network, name="cuda")
    assert isinstance(engine.runtime, CudaRuntime)
    return engine, engine.runtime


@pytest.fixture(scope="module")
def expected(network: FragmentNetwork, spec: ClipSpec) -> NDArray[np.float64]:
    return scores_of(make_engine(network, name="torch").score(random_clips(spec, 7)))


@pytest.mark.parametrize(
    ("most", "sizes"),
    [
        (1, [1]),
        (2, [2, 1]),
        (5, [6, 4, 3, 2, 1]),
        (8, [8, 6, 4, 3, 2, 1]),
        (32, [32, 24, 16, 12, 8, 6, 4, 3, 2, 1]),
        (99, [32, 24, 16, 12, 8, 6, 4, 3, 2, 1]),
    ],
)
def test_graphs_are_prepared_for_every_size_of_batch_the_largest_first(
    most: int, sizes: list[int]
) -> None:
    assert CudaRuntime.preparations(most) == sizes


def test_graphs_share_the_places_of_the_largest(network: FragmentNetwork) -> None:
    engine, runtime = on_cpu(network)
    for size in engine.preparations(6):
        engine.prepare(size)
    assert runtime.places is not None
    memory = runtime.places.untyped_storage().data_ptr()
    sharing = {
        size
        for size, graph in runtime.graphs.items()
        if graph.places.untyped_storage().data_ptr() == memory
    }
    assert sharing == {6, 4, 3, 2}  # that of 1 was captured before, for `check`
    assert isinstance(runtime.device, CpuDevice)
    assert runtime.device.at_once == len(engine.used)


def test_a_batch_that_does_not_fit_is_run_in_smaller_ones(
    network: FragmentNetwork,
    spec: ClipSpec,
    expected: NDArray[np.float64],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(CpuDevice, "room", 3)
    engine, runtime = on_cpu(network)
    given_back = runtime.device.given_back  # type: ignore[attr-defined]
    for size in engine.preparations(6):
        engine.prepare(size)
    assert runtime.sizes == (3, 2, 1)
    assert "batches of 6 do not fit, others will do: CUDA out of memory" in caplog.text
    assert runtime.device.given_back == given_back + 2  # type: ignore[attr-defined]
    np.testing.assert_allclose(scores_of(engine.score(random_clips(spec, 7))), expected, atol=0.25)


def test_a_size_that_was_not_prepared_may_not_fit_either(
    network: FragmentNetwork,
    spec: ClipSpec,
    expected: NDArray[np.float64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, runtime = on_cpu(network)
    monkeypatch.setattr(CpuDevice, "room", 2)
    np.testing.assert_allclose(scores_of(engine.score(random_clips(spec, 7))), expected, atol=0.25)
    assert runtime.sizes == (2, 1)
    assert sorted(runtime.graphs) == [1, 2]


def test_a_graph_that_is_there_is_used_where_a_smaller_one_no_longer_fits(
    network: FragmentNetwork,
    spec: ClipSpec,
    expected: NDArray[np.float64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, runtime = on_cpu(network)
    engine.prepare(6)
    monkeypatch.setattr(CpuDevice, "room", 0)
    answer = scores_of(engine.score(random_clips(spec, 7)[:3]))
    np.testing.assert_allclose(answer, expected[:3], atol=0.25)
    assert sorted(runtime.graphs) == [1, 6]


def test_a_device_without_room_for_one_clip_is_full(
    network: FragmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CpuDevice, "room", 0)
    with pytest.raises(EngineOutOfMemory, match="out of memory"):
        on_cpu(network)


def test_an_engine_that_nobody_has_is_gone_without_a_collection(network: FragmentNetwork) -> None:
    gc.collect()
    gc.disable()
    try:
        engine, runtime = on_cpu(network)
        engine.prepare(2)
        gone = weakref.ref(runtime)
        del engine, runtime
        assert gone() is None
    finally:
        gc.enable()


def test_a_closed_engine_keeps_nothing_on_the_device(
    network: FragmentNetwork, spec: ClipSpec
) -> None:
    engine, runtime = on_cpu(network)
    engine.score(random_clips(spec, 2))
    kept: list[weakref.ref[Any]] = [weakref.ref(runtime.network.extraction)]
    kept.append(weakref.ref(runtime.places))
    kept += [weakref.ref(graph) for graph in runtime.graphs.values()]
    recordings = [graph.recording for graph in runtime.graphs.values()]
    given_back = runtime.device.given_back  # type: ignore[attr-defined]
    engine.close()
    engine.close()
    assert [each() for each in kept] == [None] * len(kept)
    assert all(getattr(each, "_work", each) is None for each in recordings)
    assert runtime.device.given_back == given_back + 1  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="closed"):
        engine.score(random_clips(spec, 1))


def test_clips_may_be_uploaded_on_other_threads(network: FragmentNetwork, spec: ClipSpec) -> None:
    engine, _ = on_cpu(network)
    clips = random_clips(spec, 3)
    clips[1, : spec.fragment_frames(1).stop] = 0
    clips.setflags(write=False)  # as the memory of a decode worker is
    uploads: list[Upload] = []
    thread = threading.Thread(target=lambda: uploads.extend(map(engine.upload, clips)))
    thread.start()
    thread.join()
    ahead = engine.score([uploads[0], clips[1], uploads[2]])
    at_once = engine.score(clips)
    np.testing.assert_array_equal(scores_of(ahead), scores_of(at_once))
    np.testing.assert_array_equal(ahead.blank, at_once.blank)
    assert ahead.blank[1].tolist() == [True, True] + [False] * (spec.fragments - 2)


@pytest.mark.parametrize("look", [Look(0, False), Look(3, False), Look(-2, True)])
def test_views_are_arranged_as_on_the_cpu(look: Look, spec: ClipSpec) -> None:
    [clip] = random_clips(spec, 1)
    ours = arranged(torch.from_numpy(clip), look)
    np.testing.assert_array_equal(ours, in_every_view([clip], [look])[0])


def test_the_score_is_the_mean_of_the_views() -> None:
    spec = tiny_spec("vault")
    network = tiny_network(spec, dataclasses.replace(TINY, views=3, fragments_used=(0,)), seed=5)
    engine, runtime = on_cpu(network)
    assert engine.preparations(2) == [6, 4, 3, 2, 1]
    clips = random_clips(spec, 3)
    reference = scores_of(make_engine(network, name="torch").score(clips))
    np.testing.assert_allclose(scores_of(engine.score(clips)), reference, atol=0.25)
    assert sorted(runtime.graphs) == [3, 12]  # places: one clip in `check`, and then three


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_bias_after_the_pool_gives_the_same_bits(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    x = 50 * torch.randn(2, 8, 4, 8, 8, generator=random).to(dtype)
    weight = torch.randn(16, 8, 3, 3, 3, generator=random).to(dtype)
    bias = 30 * torch.randn(16, 1, 1, 1, generator=random).to(dtype)
    for pool in (((1, 2, 2), 0), ((2, 2, 2), (0, 1, 1)), None):
        before = F.conv3d(x, weight, padding=1) + bias
        if pool is not None:
            before = F.max_pool3d(before, pool[0], pool[0], pool[1])
        ours = Layer(weight, bias, pool)(x)
        torch.testing.assert_close(ours, F.relu(before), rtol=0, atol=0)


def test_the_arrangement_for_a_gpu_changes_no_feature(
    network: FragmentNetwork, spec: ClipSpec
) -> None:
    parts = Parts.of(network)
    clips = torch.from_numpy(random_clips(spec, 2))
    with torch.inference_mode():
        expected = parts.extraction(clips)
        ours = HalfExtraction.of(parts.extraction, CPU, torch.float32)
        pixels = ours.pixels(0, clips)
        assert pixels.shape[1] == 8
        assert pixels.is_contiguous(memory_format=torch.channels_last_3d)
        for jobs in (in_turn, CpuDevice().side_by_side):
            torch.testing.assert_close(ours(clips, jobs), expected, rtol=1e-4, atol=1e-3)


@contextlib.contextmanager
def arithmetic() -> Iterator[list[tuple[bool, str]]]:
    """What PyTorch was set to at each call of the reference and of the engine's own extraction."""
    seen: list[tuple[bool, str]] = []

    def note() -> None:
        seen.append((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))

    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((Extraction, "forward"), (HalfExtraction, "__call__")):
            run = getattr(place, name)

            def noted(*given: object, run: object = run) -> object:
                note()
                return run(*given)  # type: ignore[operator]

            patch.setattr(place, name, noted)
        yield seen


def test_the_reference_is_computed_without_tf32(network: FragmentNetwork) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with arithmetic() as seen:
        on_cpu(network)
    assert seen[:4] == [(False, "highest"), *[(True, "high")] * 3]  # noise, and 3 clips in float16
    assert before == (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision())


def sensitive(spec: ClipSpec, weight: torch.Tensor) -> FragmentNetwork:
    """A network whose first layer has these weights (3, 3, 3, 3) in each channel, large ones."""
    network = tiny_network(
        spec, dataclasses.replace(TINY, normalisation="none", fragments_used=(2,)), seed=3
    )
    with torch.no_grad():
        for extractor in network.extractors:
            extractor.get_parameter("conv1a.weight").copy_(weight)
            extractor.get_parameter("conv2a.weight").mul_(1e-4)
    return network


def test_bright_clips_decide_about_the_range_of_float16(spec: ClipSpec) -> None:
    """White sums up to 10⁵ in the first layer; noise does not, and fits in float16."""
    network = sensitive(spec, torch.full((3, 3, 3, 3), 8.0))
    engine, runtime = on_cpu(network)
    assert runtime.network.extraction.dtype is torch.bfloat16
    white = np.full_like(random_clips(spec, 1), 255)
    reference = scores_of(make_engine(network, name="torch").score(white))
    np.testing.assert_allclose(scores_of(engine.score(white)), reference, atol=0.25)


def test_the_example_is_a_clip_to_agree_on(network: FragmentNetwork, spec: ClipSpec) -> None:
    """One that float16 has no numbers for rules it out, whatever noise is."""
    stripes = striped(spec)
    network = sensitive(spec, stripe_weights())
    with cuda_on_cpu():
        engine = make_engine(network, name="cuda", example=lambda: stripes)
    assert engine.runtime.network.extraction.dtype is torch.bfloat16  # type: ignore[attr-defined]


def test_a_clip_beyond_float16_is_scored_in_bfloat16(
    spec: ClipSpec, caplog: pytest.LogCaptureFixture
) -> None:
    network = sensitive(spec, stripe_weights())
    engine, runtime = on_cpu(network)
    assert runtime.network.extraction.dtype is torch.float16
    clips = random_clips(spec, 3)
    clips[1] = striped(spec)
    reference = make_engine(network, name="torch").score(clips)
    answer = engine.score(clips)
    np.testing.assert_allclose(scores_of(answer), scores_of(reference), atol=0.25)
    assert np.isfinite(answer.features).all()
    assert "beyond the range of float16" in caplog.text


def stripe_weights() -> torch.Tensor:
    """Plus on the left, minus on the right: of an even picture nothing remains."""
    return torch.tensor([12.0, 0.0, -12.0]).expand(3, 3, 3, 3)


def striped(spec: ClipSpec) -> NDArray[np.uint8]:
    """(T, H, W, 3): columns of two, white and black."""
    clip = np.zeros((spec.frames, *spec.crop, 3), np.uint8)
    clip[:, :, np.arange(spec.width) % 4 < 2] = 255
    return clip


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def fail(error: Exception) -> None:
    raise error


def chained(error: Exception, first: Exception) -> Exception:
    error.__context__ = first
    return error


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (FULL, EngineOutOfMemory),
        (torch.AcceleratorError("CUDA error: out of memory"), EngineOutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling it"), EngineOutOfMemory),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), EngineOutOfMemory),
        (RuntimeError("FIND was unable to find an engine to execute this"), EngineOutOfMemory),
        (RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at"), EngineOutOfMemory),
        (chained(torch.AcceleratorError("CUDA error: capture failed"), FULL), EngineOutOfMemory),
        (torch.AcceleratorError("device lost"), EngineLost),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling it"), EngineLost),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), EngineLost),
        (RuntimeError("shapes do not match"), RuntimeError),
    ],
)
def test_what_is_wrong_with_a_gpu_has_a_name(error: Exception, named: type[Exception]) -> None:
    with pytest.raises(named), named_errors():
        raise error


def test_an_error_is_not_named_after_one_that_was_there_before() -> None:
    try:
        raise FULL
    except RuntimeError:
        with pytest.raises(EngineLost), named_errors():
            fail(torch.AcceleratorError("CUDA error: an illegal memory access"))


def test_a_lack_of_memory_is_logged_without_the_errors_that_follow(
    network: FragmentNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(CpuDevice, "room", 1)
    engine, _ = on_cpu(network)
    engine.prepare(2)
    assert "Tried to allocate 20.00 MiB" in caplog.text
