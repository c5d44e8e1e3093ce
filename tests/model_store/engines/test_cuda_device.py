"""Streams, captures and arithmetic, on stand-ins for a GPU's."""

import contextlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from model_store.engines.cuda_device import WARM_UPS, CudaDevice, exact_kernels, fast_kernels


class Stream:
    """Of a GPU that is not there."""

    def __init__(self) -> None:
        self.waited_for: list[Stream] = []

    def wait_stream(self, other: "Stream") -> None:
        self.waited_for.append(other)

    def synchronize(self) -> None: ...


def device_of(compute: Stream, branches: Sequence[Stream] = ()) -> CudaDevice:
    device: Any = CudaDevice.__new__(CudaDevice)
    device.torch_device, device.pool = torch.device("cpu"), None
    device.streams = SimpleNamespace(compute=compute, branches=lambda count: branches[:count])
    return device  # type: ignore[no-any-return]


def test_a_capture_tries_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were chosen in the runs before it; in a capture nothing can be timed."""

    class Graph:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    stream = Stream()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    tried = []

    def work() -> tuple[Tensor, ...]:
        tried.append(torch.backends.cudnn.benchmark)
        assert torch.backends.cudnn.allow_tf32
        return ()

    with fast_kernels():
        device_of(stream).record(work)
        assert torch.backends.cudnn.benchmark
    assert tried == [True] * WARM_UPS + [False]


def test_a_job_that_fails_leaves_no_stream_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture with streams that were not joined could not be ended, nor another one begun."""
    here, branches = Stream(), [Stream(), Stream(), Stream()]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: here)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())

    def fail() -> Tensor:
        raise torch.OutOfMemoryError

    def succeed() -> Tensor:
        return torch.zeros(1)

    with pytest.raises(torch.OutOfMemoryError):
        device_of(here, branches).side_by_side([succeed, fail, succeed])
    assert here.waited_for == branches[:2]  # the third was not begun: to wait for it is an error
    assert [branch.waited_for for branch in branches] == [[here], [here], []]


def test_the_arithmetic_is_put_back_after_an_error() -> None:
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    for kernels in (fast_kernels, exact_kernels):
        with contextlib.suppress(KeyError), kernels():
            assert torch.backends.cudnn.allow_tf32 is (kernels is fast_kernels)
            raise KeyError
        assert before == (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
