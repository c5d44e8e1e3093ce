"""
The network as a GPU runs it: extractors in half precision and channels last, the head in float32.

The values are those of `parts`, up to rounding; what is done in another way:

    three channels become eight   the others are 0, in pixels and weights: matrix units take eights
    the bias comes after the pool an eighth of the numbers, and the same bits: rounding keeps order
    extractors side by side       none needs another; a small batch of one does not fill a GPU

Shapes: N clips, T frames, K fragments that the network uses, M coalitions, L frames a fragment,
C channels, features D T' H' W', O outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_store.coalition_head import CoalitionHead
from model_store.engines.parts import Extraction
from model_store.network import C3DExtractor

CHANNELS = 8  # of a pixel, with zeros behind the three

Jobs: TypeAlias = Callable[[Sequence[Callable[[], Tensor]]], list[Tensor]]
"""What runs independent pieces of work, in whatever order, and returns what each returns."""


def in_turn(jobs: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
    return [job() for job in jobs]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Convolution, pool if there is one, bias, ReLU: (N, C, L, H, W) -> the same of less or more"""

    weight: Tensor
    """(C', C, 3, 3, 3)"""
    bias: Tensor
    """(C', 1, 1, 1)"""
    pool: tuple[tuple[int, int, int], int | tuple[int, int, int]] | None
    """Kernel, which is the stride too, and padding."""

    def __call__(self, x: Tensor) -> Tensor:
        x = F.conv3d(x, self.weight, padding=1)
        if self.pool is not None:
            kernel, padding = self.pool
            x = F.max_pool3d(x, kernel, kernel, padding)
        return x.add_(self.bias).relu_()

    def to(self, dtype: torch.dtype) -> "Layer":
        return Layer(self.weight.to(dtype), self.bias.to(dtype), self.pool)


class HalfExtraction:
    """Prepared clips (N, T, H, W, 3) uint8 -> features (N, K, D, T', H', W') of type `dtype`."""

    def __init__(
        self,
        mean: Tensor,
        frames: Sequence[range],
        branches: Sequence[Sequence[Layer]],
        dtype: torch.dtype,
    ) -> None:
        """`mean` (3,) of the pixels; for each fragment its frames, and its extractor's layers."""
        self.mean, self.frames, self.branches, self.dtype = mean, frames, branches, dtype

    @classmethod
    def of(
        cls, extraction: Extraction, device: torch.device, dtype: torch.dtype
    ) -> "HalfExtraction":
        """One with the weights of another, which stays as it is."""
        branches = [_layers(extractor, device, dtype) for extractor in extraction.extractors]
        return cls(extraction.mean.to(device), extraction.frames, branches, dtype)

    def to(self, dtype: torch.dtype) -> "HalfExtraction":
        branches = [[layer.to(dtype) for layer in branch] for branch in self.branches]
        return type(self)(self.mean, self.frames, branches, dtype)

    def __call__(self, clips: Tensor, jobs: Jobs = in_turn) -> Tensor:
        features = jobs([partial(self.of_fragment, i, clips) for i in range(len(self.frames))])
        return torch.stack(features, dim=1)

    def of_fragment(self, index: int, clips: Tensor) -> Tensor:
        """(N, T, H, W, 3) -> (N, D, T', H', W')"""
        x = self.pixels(index, clips)
        for layer in self.branches[index]:
            x = layer(x)
        return x

    def pixels(self, index: int, clips: Tensor) -> Tensor:
        """(N, T, H, W, 3) -> (N, CHANNELS, L, H, W), channels last in memory."""
        frames = self.frames[index]
        pixels = (clips[:, frames.start : frames.stop] - self.mean).to(self.dtype)
        return F.pad(pixels, (0, CHANNELS - pixels.shape[-1])).permute(0, 4, 1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class CudaNetwork:
    """Clips (N, T, H, W, 3) uint8 -> features, scores of the coalitions (N, M, O), and whether a
    clip's are finite (N,); float32.
    """

    extraction: HalfExtraction
    head: CoalitionHead

    def __call__(self, clips: Tensor, jobs: Jobs = in_turn) -> tuple[Tensor, Tensor, Tensor]:
        features = self.extraction(clips, jobs).float()
        values = self.head(features)
        finite = features.flatten(1).isfinite().all(1) & values.flatten(1).isfinite().all(1)
        return features, values, finite


def _layers(extractor: nn.Module, device: torch.device, dtype: torch.dtype) -> list[Layer]:
    layers: list[Layer] = []
    for name, _, pool in C3DExtractor.LAYERS:
        weight: Tensor = extractor.get_parameter(f"{name}.weight")
        bias: Tensor = extractor.get_parameter(f"{name}.bias")
        if not layers:
            weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, CHANNELS - weight.shape[1]))
        weight = weight.to(device, dtype).contiguous(memory_format=torch.channels_last_3d)
        layers.append(Layer(weight, bias.to(device, dtype)[:, None, None, None], pool))
    return layers
