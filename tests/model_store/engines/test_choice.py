"""Which engine `auto` takes, and what is reported when one cannot be used."""

import gc
import logging
import sys
import weakref
from pathlib import Path

import pytest
import torch

from model_store.engines import gpu, make_engine
from model_store.errors import EngineError
from model_store.network import FragmentNetwork
from tests.cpu_device import CpuDevice, cuda_on_cpu


def test_an_engine_that_is_not_there_says_why(
    network: FragmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="'tpu'"):
        make_engine(network, name="tpu")  # type: ignore[arg-type]
    monkeypatch.setattr("model_store.engines.gpu.is_available", lambda: False)
    with pytest.raises(EngineError, match="CUDA"):
        make_engine(network, name="cuda")


def test_auto_takes_the_first_that_works(
    network: FragmentNetwork,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="model_store.engines")
    monkeypatch.setattr("model_store.engines.gpu.is_available", lambda: False)
    engine = make_engine(network, cache=cache)
    assert (engine.name, engine.fell_back) == ("openvino", False)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
    monkeypatch.delitem(sys.modules, "model_store.engines.openvino_cpu")
    monkeypatch.setitem(sys.modules, "openvino", None)
    engine = make_engine(network, cache=cache)
    assert (engine.name, engine.fell_back) == ("torch", True)
    [warning] = [each.message for each in caplog.records if each.levelno >= logging.WARNING]
    assert warning.startswith("engine openvino has failed, torch is used, which is slower:")
    assert "OpenVINO cannot be imported" in warning
    with pytest.raises(EngineError, match="OpenVINO cannot be imported"):
        make_engine(network, name="openvino", cache=cache)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("cuda.current_device", torch.AcceleratorError("CUDA error: device is busy")),
        ("cuda.graph_pool_handle", AssertionError("Torch not compiled with CUDA enabled")),
        ("nn.Module.to", torch.OutOfMemoryError("CUDA out of memory")),
        ("nn.Module.to", MemoryError()),
    ],
)
def test_auto_falls_back_from_a_gpu_that_cannot_be_used(
    network: FragmentNetwork,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
    error: Exception,
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise error

    make_engine(network, name="openvino", cache=cache)  # its conversion needs Module.to
    monkeypatch.setattr("model_store.engines.gpu.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda.graph_pool_handle", lambda: None)
    if place == "nn.Module.to":
        monkeypatch.setattr("model_store.engines.torch_cuda.CudaDevice", CpuDevice)
    monkeypatch.setattr(f"torch.{place}", fail)
    engine = make_engine(network, cache=cache)
    assert (engine.name, engine.fell_back) == ("openvino", True)
    [warning] = [each.message for each in caplog.records if each.levelno >= logging.WARNING]
    assert warning.startswith("engine cuda has failed, openvino is used, which is slower:")
    assert str(error) in warning
    with pytest.raises(EngineError, match="cuda cannot be used"):
        make_engine(network, name="cuda")


def test_what_a_gpu_that_cannot_be_used_has_taken_is_given_back(
    network: FragmentNetwork, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the fall, when no error keeps the tensors of the attempt any more."""
    kept: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def fail(*given: object) -> None:
        tensor = torch.ones(3)
        kept.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CpuDevice, "record", fail)
    monkeypatch.setattr(
        "torch.cuda.empty_cache", lambda: alive.append(any(each() is not None for each in kept))
    )
    gc.collect()
    gc.disable()
    try:
        with cuda_on_cpu():
            engine = make_engine(network, cache=cache)
    finally:
        gc.enable()
    assert (engine.name, engine.fell_back) == ("openvino", True)
    assert kept
    assert alive[-1] is False


def test_a_torch_that_cannot_be_imported_beside_a_driver_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidia0").touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    monkeypatch.setattr(gpu, "_has_driver", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not gpu.is_available()
    with pytest.raises(ImportError):
        gpu.why_not()


@pytest.mark.parametrize(
    ("devices", "visible", "falls"),
    [
        ([], None, False),
        (["nvidiactl", "null"], None, False),
        (["nvidiactl", "nvidia0"], None, True),
        (["nvidia12"], "0", True),
        (["nvidia0"], "", False),
        (["nvidia0"], "-1", False),
    ],
)
def test_only_a_machine_with_a_gpu_can_fall_back_from_it(
    network: FragmentNetwork,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    devices: list[str],
    visible: str | None,
    falls: bool,
) -> None:
    """Its device files are there, and CUDA, or torch's build, does not get along with them."""
    monkeypatch.setattr("model_store.engines.gpu.is_available", lambda: False)
    monkeypatch.setattr("model_store.engines.gpu.DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for name in devices:
        (tmp_path / name).touch()
    engine = make_engine(network, cache=cache)
    assert (engine.name, engine.fell_back) == ("openvino", falls)


def test_where_no_engine_works_all_reasons_are_given(
    network: FragmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_store.engines.gpu.is_available", lambda: False)
    monkeypatch.setattr("model_store.engines.openvino_cpu.load", lambda *given: 1 / 0)
    monkeypatch.setattr("model_store.engines.torch_cpu.TorchRuntime.values", lambda *given: 1 / 0)
    with pytest.raises(EngineError, match=r"openvino: .*division by zero; torch: .*division"):
        make_engine(network)
