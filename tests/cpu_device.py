"""
A CPU in the place of a GPU: the CUDA engine on it runs every line but CUDA's own.

Work is done when it is launched, so an event has always happened. A recording runs its work again
at each replay and fills the same tensors, as a graph does.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from model_store.engines import torch_cuda
from model_store.engines.cuda_device import Answer, Recording


class Repeated:
    def __init__(self, work: Callable[[], Answer], answer: Answer) -> None:
        self._work: Callable[[], Answer] | None = work
        self._answer = answer

    def replay(self) -> None:
        assert self._work is not None, "it was reset"
        for place, value in zip(self._answer, self._work(), strict=True):
            place.copy_(value)

    def reset(self) -> None:
        self._work = None


class CpuDevice:
    """In the place of `cuda_device.CudaDevice`."""

    compute: Any = None
    uploads: Any = None
    room: int | None = None
    """Largest batch that fits, None for any."""

    def __init__(self) -> None:
        self.torch_device = torch.device("cpu")
        self.given_back = 0
        self.at_once = 0
        """Most jobs that ran side by side."""

    def on(self, stream: Any) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def mark(self) -> Any:
        return None

    def after(self, event: Any) -> None:
        pass

    def wait(self) -> None:
        pass

    def pinned(self, shape: Sequence[int]) -> Tensor:
        return torch.full(shape, 77, dtype=torch.uint8)  # as memory that was used before

    def side_by_side(self, jobs: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        self.at_once = max(self.at_once, len(jobs))
        return [job() for job in reversed(jobs)][::-1]

    def record(self, work: Callable[[], Answer]) -> tuple[Recording, Answer]:
        answer = work()
        if self.room is not None and len(answer[0]) > self.room:
            try:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            finally:  # as the end of a capture that was broken off
                raise RuntimeError("CUDA error: operation failed due to a previous error")
        return Repeated(work, answer), answer

    def give_memory_back(self) -> None:
        self.given_back += 1


@contextmanager
def cuda_on_cpu() -> Iterator[None]:
    """`make_engine` makes the CUDA engine, which runs on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model_store.engines.gpu.is_available", lambda: True)
        patch.setattr("torch.cuda.mem_get_info", lambda: (1 << 30, 1 << 31))
        patch.setattr(torch_cuda, "CudaDevice", CpuDevice)
        yield
