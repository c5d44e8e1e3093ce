"""
What the CUDA engine asks of a GPU: streams, graphs, memory, and how exact its arithmetic is.

The rule: nothing here knows networks or clips, so that a CPU can stand in its place
(`tests.cpu_device`), and all the rest of the engine runs as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

WARM_UPS = 3  # runs before a capture, in which libraries allocate what they need on each stream

Answer = tuple[Tensor, ...]


class Recording(Protocol):
    """Work that was recorded once and fills the same tensors at each replay."""

    def replay(self) -> None: ...

    def reset(self) -> None:
        """Give its memory back; it cannot be replayed any more."""


class Streams:
    """Those of one GPU. Engines share them, and so take turns: a library keeps memory for each
    stream that it was ever used on, and would keep it for those of an engine that is gone.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.compute: Any = torch.cuda.Stream(device)
        self.uploads: Any = torch.cuda.Stream(device)
        self._branches: list[Any] = []

    def branches(self, count: int) -> list[Any]:
        while len(self._branches) < count:
            self._branches.append(torch.cuda.Stream(self._device))
        return self._branches[:count]


streams_of = cache(Streams)


class CudaDevice:
    """The current GPU, with a memory pool that all graphs made here share."""

    def __init__(self) -> None:
        self.torch_device = torch.device("cuda", torch.cuda.current_device())
        self.pool = torch.cuda.graph_pool_handle()
        self.streams = streams_of(self.torch_device)

    @property
    def compute(self) -> Any:
        """The stream that networks run on."""
        return self.streams.compute

    @property
    def uploads(self) -> Any:
        """The stream that clips are copied on."""
        return self.streams.uploads

    def on(self, stream: Any) -> AbstractContextManager[None]:
        """What this thread launches in the block goes to that stream of this GPU."""
        context: AbstractContextManager[None] = torch.cuda.stream(stream)
        return context

    def mark(self) -> Any:
        """An event that happens when all is done that the current stream has now."""
        return torch.cuda.current_stream(self.torch_device).record_event()

    def after(self, event: Any) -> None:
        """What the current stream gets from now on waits for the event."""
        torch.cuda.current_stream(self.torch_device).wait_event(event)

    def wait(self) -> None:
        """Until all is done that the current stream has; other threads run meanwhile."""
        done = torch.cuda.Event(blocking=True)  # the thread sleeps: decoders need the cores
        done.record(torch.cuda.current_stream(self.torch_device))
        done.synchronize()

    def pinned(self, shape: Sequence[int]) -> Tensor:
        """Bytes of the host from which the GPU copies by itself; PyTorch reuses them."""
        return torch.empty(*shape, dtype=torch.uint8, pin_memory=True)

    def side_by_side(self, jobs: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Each on a stream of its own, from what the current one has now to what it gets next.

        A job must read nothing but what exists before: what a job has allocated, its own stream
        alone may reuse.
        """
        here = torch.cuda.current_stream(self.torch_device)
        begun, answers = [], []
        try:
            for job, stream in zip(jobs, self.streams.branches(len(jobs)), strict=True):
                stream.wait_stream(here)
                begun.append(stream)
                with torch.cuda.stream(stream):
                    answers.append(job())
        finally:  # also where a job fails: a capture with loose ends could not be ended
            for stream in begun:
                here.wait_stream(stream)
        return answers

    def record(self, work: Callable[[], Answer]) -> tuple[Recording, Answer]:
        """Run it and record what it launches, and the tensors that each replay fills.

        The current stream must not be the default one.
        """
        stream: Any = torch.cuda.current_stream(self.torch_device)
        for _ in range(WARM_UPS):
            work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads upload clips meanwhile, so only this one is kept from what would spoil it.
        with (
            chosen_kernels(),
            torch.cuda.graph(
                graph, pool=self.pool, stream=stream, capture_error_mode="thread_local"
            ),
        ):
            answer = work()
        return graph, answer

    def give_memory_back(self) -> None:
        """What nothing uses any more; an engine that is made later starts with all there is."""
        torch.cuda.empty_cache()


@contextmanager
def fast_kernels() -> Iterator[None]:
    """TF32 products, and cuDNN trying its kernels: a graph keeps what was chosen at its capture."""
    with _arithmetic(benchmark=True, tf32=True):
        yield


@contextmanager
def chosen_kernels() -> Iterator[None]:
    """The fast ones that cuDNN has chosen before. It tries none: nothing can be timed in a capture,
    where it would be if there were too little memory for a chosen one.
    """
    with _arithmetic(benchmark=False, tf32=True):
        yield


@contextmanager
def exact_kernels() -> Iterator[None]:
    """float32 products of float32 numbers; PyTorch would take TF32 for convolutions."""
    with _arithmetic(benchmark=False, tf32=False):
        yield


@contextmanager
def _arithmetic(*, benchmark: bool, tf32: bool) -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    try:
        cudnn.benchmark, cudnn.allow_tf32 = benchmark, tf32
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before[:2]
        torch.set_float32_matmul_precision(before[2])
