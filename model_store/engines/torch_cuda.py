"""
torch on an NVIDIA GPU: extractors in half precision, channels last, replayed as CUDA graphs.

The head, a few percent of the work, keeps float32 numbers with TF32 products: contributions are
differences of its scores. There is a graph for each of a few batch sizes; a smaller batch runs with
old clips in the remaining places. Graphs are captured before the service needs them, the largest
first: what it takes is enough for the others. One that there is no room for is not used.

    upload()   another thread: pixels to pinned memory, from there to the GPU on a stream of its own
    values()   waits for that on the GPU, arranges the views there, replays, and sleeps until it is
               done; nothing of it takes the CPU a millisecond

What float16 has no numbers for, in a clip brighter than any that it was chosen with, is scored
again in bfloat16.

Shapes: B clips, V views, N ≥ B·V the batch size of a graph, T frames, M coalitions.
"""

import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_store.coalition_head import CoalitionHead
from model_store.engines.cuda_device import CudaDevice, exact_kernels, fast_kernels
from model_store.engines.cuda_network import CudaNetwork, HalfExtraction, in_turn
from model_store.engines.engine import Clips, Floats, Look
from model_store.engines.parts import Parts
from model_store.errors import EngineError, EngineLost, EngineOutOfMemory

BATCH_SIZES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
SIDE_BY_SIDE = 8  # up to this batch size extractors run at once; each stream has memory of its own
HALF = (torch.float16, torch.bfloat16)  # finer first; the other where its range is too small
FULL = re.compile(
    r"\bout of memory\b|_STATUS_ALLOC_FAILED\b"
    r"|unable to find an engine"  # of cuDNN's, once memory was lacking for each that it tried
    r"|NVML_SUCCESS ==",  # PyTorch, where it cannot ask how much is in use
    re.I,
)
LOST = re.compile(r"\b(CUDA|cuBLAS|cuDNN|NVML)\b.*(error|_STATUS_)", re.I)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OnDevice:
    pixels: Tensor  # (T, H, W, 3) uint8
    copied: Any  # an event


class CudaRuntime:
    name = "cuda"
    tolerance = 0.25
    uploads_ahead = True

    def __init__(self, parts: Parts, *, example: Clips | None = None) -> None:
        """`example` is a prepared clip of the kind that the network is for."""
        self.baseline = parts.baseline
        spec = parts.network.clip_spec
        self.clip_shape = (spec.frames, *spec.crop, 3)
        self.device = CudaDevice()
        self.device.give_memory_back()  # of an engine before this one that could not be made
        self.sizes: tuple[int, ...] = BATCH_SIZES
        self.graphs: dict[int, Graph] = {}
        self.places: Tensor | None = None  # (N, T, H, W, 3) uint8: what the graphs read
        self.wider: CudaNetwork | None = None
        head = deepcopy(parts.coalition_head).to(self.device.torch_device)
        with self.device.on(self.device.compute), torch.inference_mode():
            self.network = self._in_half_precision(parts, head, example)

    @staticmethod
    def preparations(most: int) -> list[int]:
        needed = min((size for size in BATCH_SIZES if size >= most), default=BATCH_SIZES[0])
        return [size for size in BATCH_SIZES if size <= needed]

    def prepare(self, size: int) -> None:
        """Capture the graph for a batch size; without room for it, only others are used.

        Raises EngineOutOfMemory if there are none.
        """
        if size in self.graphs or size not in self.sizes:
            return
        try:
            with named_errors():
                self.graphs[size] = self._captured(size)
                return
        except EngineOutOfMemory as error:
            reason = str(error)
        # Here the error is gone, and with it the frames that held tensors.
        captured = [graph.places for graph in self.graphs.values()]
        self.places = max(captured, key=len, default=None)
        self.device.give_memory_back()
        others = tuple(each for each in self.sizes if each < size or each in self.graphs)
        if not others:
            raise EngineOutOfMemory(reason)
        self.sizes = others
        log.warning("batches of %d do not fit, others will do: %s", size, reason)

    def upload(self, clip: Clips) -> OnDevice:
        with named_errors(), self.device.on(self.device.uploads), torch.inference_mode():
            pinned = self.device.pinned(self.clip_shape)
            pinned.numpy()[:] = clip
            pixels = pinned.to(self.device.torch_device, non_blocking=True)
            return OnDevice(pixels, self.device.mark())

    def values(self, clips: Sequence[OnDevice], looks: Sequence[Look]) -> tuple[Floats, Floats]:
        places = [(clip, look) for clip in clips for look in looks]
        with named_errors(), self.device.on(self.device.compute), torch.inference_mode():
            for clip in clips:
                self.device.after(clip.copied)
            answers, rest = [], places
            while rest:
                graph = self._graph(len(rest))
                answers.append(graph.launch(rest[: graph.size]))
                rest = rest[graph.size :]
            self.device.wait()
            features, values, finite = (_joined(parts) for parts in zip(*answers, strict=True))
            beyond = np.flatnonzero(~finite) if self.network.extraction.dtype is HALF[0] else ()
            for index in beyond:
                features[index], values[index] = self._in_wider_type(places[index])
        return features, values

    def close(self) -> None:
        with self.device.on(self.device.compute):
            self.device.wait()
        for graph in self.graphs.values():
            graph.recording.reset()
        self.graphs.clear()
        self.places = self.wider = None
        del self.network
        self.device.give_memory_back()

    def _graph(self, count: int) -> "Graph":
        """That of the smallest size for so many places, or else of the largest."""
        while True:
            size = min((size for size in self.sizes if size >= count), default=self.sizes[0])
            self.prepare(size)  # after which there may be fewer sizes
            if size in self.graphs:
                return self.graphs[size]

    def _captured(self, size: int) -> "Graph":
        with self.device.on(self.device.compute), torch.inference_mode():
            if self.places is None or len(self.places) < size:
                shape = (size, *self.clip_shape)
                self.places = torch.zeros(shape, dtype=torch.uint8, device=self.device.torch_device)
            return Graph(self.network, self.places[:size], self.device)

    def _in_wider_type(self, place: tuple[OnDevice, Look]) -> tuple[Floats, Floats]:
        if self.wider is None:
            extraction = self.network.extraction.to(HALF[-1])
            self.wider = CudaNetwork(extraction, self.network.head)
            log.warning("a clip is beyond the range of float16, it is scored in bfloat16")
        clip, look = place
        with fast_kernels():
            features, values, _ = self.wider(arranged(clip.pixels, look)[None])
        return features[0].cpu().numpy(), values[0].cpu().numpy()

    def _in_half_precision(
        self, parts: Parts, head: CoalitionHead, example: Clips | None
    ) -> CudaNetwork:
        """In the first half precision that scores clips as float32 does, and is always finite."""
        noise = np.random.default_rng(0).integers(256, size=self.clip_shape, dtype=np.uint8)
        device, full = self.device.torch_device, parts.coalitions.full

        def on_device(clip: Clips) -> Tensor:
            return torch.from_numpy(np.array(clip)[None]).to(device)  # (1, T, H, W, 3)

        compared = [on_device(clip) for clip in (noise, example) if clip is not None]
        # Nobody's clip is as bright: there it is enough that all numbers are in range, and where
        # they are, float16 is nearer to float32 than bfloat16.
        bright = [on_device(clip) for clip in (noise // 4 + 192, np.full_like(noise, 255))]
        with exact_kernels():
            reference = deepcopy(parts.extraction).to(device)
            expected = [head(reference(clip))[:, full] for clip in compared]
            del reference
        errors = {}
        for dtype in HALF:
            network = CudaNetwork(HalfExtraction.of(parts.extraction, device, dtype), head)
            with fast_kernels():
                answers = [network(clip) for clip in compared + bright]
            off = [
                float((values[:, full] - wanted).abs().max())
                for (_, values, _), wanted in zip(answers, expected, strict=False)
            ]
            finite = all(bool(finite.all()) for *_, finite in answers)
            errors[dtype] = max(off) if finite else float("inf")
            if errors[dtype] <= self.tolerance:
                return network
        raise EngineError(f"cuda is off by {errors} points, allowed are {self.tolerance}")


class Graph:
    """The network on a fixed number of places, recorded once and replayed."""

    def __init__(self, network: CudaNetwork, places: Tensor, device: CudaDevice) -> None:
        """`places` are (N, T, H, W, 3) uint8; graphs that are never replayed at once share them."""
        self.places, self.size = places, len(places)
        jobs = device.side_by_side if self.size <= SIDE_BY_SIDE else in_turn
        with fast_kernels():
            network(places)  # in turn: cuDNN tries its kernels while nothing else runs
            self.recording, self.answer = device.record(partial(network, places, jobs))

    def launch(self, clips: Sequence[tuple[OnDevice, Look]]) -> tuple[Tensor, ...]:
        """Up to N clips -> features, scores of coalitions and whether they are finite, on the CPU:
        there, once the device is done.
        """
        for place, (clip, look) in zip(self.places, clips, strict=False):
            place.copy_(arranged(clip.pixels, look))
        self.recording.replay()
        # Copied to pinned memory; the tensors that a replay fills belong to the next one.
        return tuple(
            each[: len(clips)].to("cpu", non_blocking=True, copy=True) for each in self.answer
        )


def arranged(pixels: Tensor, look: Look) -> Tensor:
    """(T, H, W, 3) as `engine.in_every_view` does it on the CPU."""
    if look.shift:
        pixels = pixels.roll(look.shift, 0)
    return pixels.flip(2) if look.mirrored else pixels


@contextmanager
def named_errors() -> Iterator[None]:
    """Raise what is wrong with the device as EngineOutOfMemory or EngineLost.

    Other errors may follow on a lack of memory: a capture that breaks off for it has one, too.
    """
    handled = sys.exception()
    try:
        yield
    except RuntimeError as error:
        kind, text = _named(error, handled)
        if kind is None:
            raise
        raise kind(text) from error  # in no variable: it would keep itself, and tensors with it


def _named(
    error: RuntimeError, before: BaseException | None
) -> tuple[type[EngineError] | None, str]:
    """What class it is of by what is wrong, and the text that says so.

    It is also looked for in the errors that it came after, but not in one that was there `before`.
    """
    cause: BaseException | None = error
    while cause is not None and cause is not before:
        if isinstance(cause, torch.OutOfMemoryError) or FULL.search(str(cause)):
            return EngineOutOfMemory, str(cause)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (torch.AcceleratorError, torch.cuda.CudaError)):
        return EngineLost, str(error)
    if LOST.search(str(error)):  # of CUDA's libraries, which have no class of their own
        return EngineLost, str(error)
    return None, str(error)


def _joined(parts: Sequence[Tensor]) -> Any:
    return parts[0].numpy() if len(parts) == 1 else np.concatenate([each.numpy() for each in parts])
