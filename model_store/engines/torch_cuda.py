"""
torch on an NVIDIA GPU: extractors in half precision, channels-last, replayed as CUDA graphs.

The head, a few percent of the work, keeps float32 numbers with TF32 products: contributions are
differences of its scores. A graph is captured for a batch size when that is first needed; a
smaller batch runs with old clips in the remaining places.

Shapes: B clips, N ≥ B the batch size of a graph, T frames, M coalitions.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_store.coalition_head import CoalitionHead
from model_store.engines.engine import Clips, Floats
from model_store.engines.parts import Extraction, Parts
from model_store.errors import EngineError, EngineLost, EngineOutOfMemory

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
HALF = (torch.float16, torch.bfloat16)  # finer first; the other where its range is too small
WARM_UPS = 3  # runs before a capture, in which cuDNN chooses its kernels
LOST = re.compile(r"\b(CUDA|cuBLAS|cuDNN|NVML)\b.*(error|_STATUS_)", re.I)


class CudaRuntime:
    name = "cuda"
    tolerance = 0.25

    def __init__(self, parts: Parts) -> None:
        self.baseline = parts.baseline
        self.was_full = False
        spec = parts.network.clip_spec
        self.clip_shape = (spec.frames, *spec.crop, 3)
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.pool = torch.cuda.graph_pool_handle()
        self.coalition_head = deepcopy(parts.coalition_head).to(self.device)
        self.extraction = self._in_half_precision(parts)
        self._graph = cache(self._capture)

    @staticmethod
    def batch_sizes(most: int) -> list[int]:
        needed = next((size for size in BATCH_SIZES if size >= most), BATCH_SIZES[-1])
        return [size for size in BATCH_SIZES if size < needed] + [min(most, needed)]

    def values(self, clips: Clips) -> tuple[Floats, Floats]:
        if self.was_full:  # not where it was noticed: the frames of the error hold tensors
            torch.cuda.empty_cache()
            self.was_full = False
        try:
            with named_errors():
                return self._values(clips)
        except EngineOutOfMemory:
            self.was_full = True
            raise

    def _values(self, clips: Clips) -> tuple[Floats, Floats]:
        with torch.cuda.device(self.device), torch.inference_mode():
            answers = []
            for some in torch.split(torch.from_numpy(clips), BATCH_SIZES[-1]):
                size = next(size for size in BATCH_SIZES if size >= len(some))
                answers.append(self._graph(size)(some))
        features, values = zip(*answers, strict=True)
        return np.concatenate(features), np.concatenate(values)

    def _capture(self, size: int) -> "Graph":
        shape = (size, *self.clip_shape)
        return Graph(self.extraction, self.coalition_head, shape, self.pool)

    @torch.inference_mode()
    def _in_half_precision(self, parts: Parts) -> Extraction:
        """The extraction in the first half precision that scores noise as float32 does."""
        noise = np.random.default_rng(0).integers(256, size=(1, *self.clip_shape), dtype=np.uint8)
        clip = torch.from_numpy(noise).to(self.device)
        full = parts.coalitions.full

        def scores(extraction: Extraction) -> Tensor:
            values: Tensor = self.coalition_head(extraction(clip).float())  # (1, M, O)
            return values[:, full]

        expected = scores(deepcopy(parts.extraction).to(self.device))
        errors = {}
        for dtype in HALF:
            half = deepcopy(parts.extraction).to(self.device)
            half.extractors.to(dtype=dtype, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            errors[dtype] = float((scores(half) - expected).abs().max())
            if errors[dtype] <= self.tolerance:
                return half
        raise EngineError(f"cuda is off by {errors} points, allowed are {self.tolerance}")


@contextmanager
def named_errors() -> Iterator[None]:
    """Raise what is wrong with the device as EngineOutOfMemory or EngineLost."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineOutOfMemory(str(error)) from error
    except (torch.AcceleratorError, torch.cuda.CudaError) as error:
        raise EngineLost(str(error)) from error
    except RuntimeError as error:  # of CUDA's libraries, which have no class of their own
        if not LOST.search(str(error)):
            raise
        raise EngineLost(str(error)) from error


class Graph:
    """Extraction and the head on a fixed number of clips, recorded once and replayed."""

    def __init__(
        self,
        extraction: Extraction,
        head: CoalitionHead,
        shape: tuple[int, ...],
        pool: Any,
    ) -> None:
        self.staged = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)  # (N, T, H, W, 3)
        self.clips = torch.zeros(shape, dtype=torch.uint8, device="cuda")

        def answer() -> tuple[Tensor, Tensor]:
            features = extraction(self.clips).float()
            return features, head(features)

        with fast_kernels():
            stream: Any = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    answer()
            torch.cuda.current_stream().wait_stream(stream)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"):
                self.features, self.values = answer()

    def __call__(self, clips: Tensor) -> tuple[Floats, Floats]:
        """(B, T, H, W, 3) uint8 -> features (B, …) and the scores of all coalitions (B, M, O)."""
        self.staged[: len(clips)] = clips
        self.clips.copy_(self.staged, non_blocking=True)
        self.graph.replay()
        features, values = self.features[: len(clips)].cpu(), self.values[: len(clips)].cpu()
        return features.numpy(), values.numpy()


@contextmanager
def fast_kernels() -> Iterator[None]:
    """TF32 products, and cuDNN trying its kernels: a graph keeps what was chosen at its capture."""
    before = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before[0]
        torch.set_float32_matmul_precision(before[1])
