"""What the sections of `tests.bench.gpu` share: the network, how much is measured, and the page."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_store.engines import Engine, make_engine
from model_store.engines.torch_cuda import CudaRuntime
from model_store.network import FragmentNetwork
from tests.bench.network import some_clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    batches: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
    kernel_batches: tuple[int, ...] = (1, 4, 8, 16, 32)
    clients: tuple[int, ...] = (1, 4, 16, 64)
    decode_workers: int = 16
    matrix: int = 8192
    """Side of the bf16 matrices whose product is the chip's rate."""
    runs: int = 10
    passes: int = 3
    """Over all clips, through the service."""


SMALL = Size(
    batches=(1, 3),
    kernel_batches=(1, 2),
    clients=(1, 64),
    decode_workers=1,
    matrix=64,
    runs=1,
    passes=1,
)


@dataclass(slots=True)
class Page:
    """Lines that are printed, and kept in a file from the first one on."""

    path: Path
    lines: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n")

    def require(self, holds: bool, target: str) -> None:
        if not holds:
            self.missed.append(target)


@dataclass(slots=True, kw_only=True)
class Bench:
    page: Page
    size: Size
    on_gpu: bool
    network: FragmentNetwork
    fastest: float | None = None
    """Clips a second of the engine, once they are known."""

    @contextmanager
    def engine(self) -> Iterator[tuple[Engine, CudaRuntime]]:
        """The engine as the service has it; closed afterwards."""
        engine = make_engine(self.network, name="cuda")
        runtime = engine.runtime
        assert isinstance(runtime, CudaRuntime)
        try:
            yield engine, runtime
        finally:
            engine.close()

    def clips(self, count: int) -> NDArray[np.uint8]:
        spec = self.network.clip_spec
        return some_clips(count, spec.frames, *spec.crop)

    def median_s(self, work: Callable[[], object], *, runs: int | None = None) -> float:
        """Of some runs after a warm-up, of work that ends when it returns."""
        work()
        seconds = []
        for _ in range(runs or self.size.runs):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds)

    def memory_gb(self, *, peak: bool = False) -> float:
        """That PyTorch holds on the GPU, or held at most since this was last asked."""
        if not self.on_gpu:
            return 0.0
        found = torch.cuda.max_memory_reserved() if peak else torch.cuda.memory_reserved()
        torch.cuda.reset_peak_memory_stats()
        return found / 1e9
