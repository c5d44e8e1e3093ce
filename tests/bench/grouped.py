"""The extractors of all fragments as one, by convolutions in groups: an alternative to streams."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model_store.engines.cuda_network import HalfExtraction, Jobs, Layer, in_turn


@dataclass(frozen=True, slots=True, eq=False)
class GroupedLayer:
    """The same layer of K extractors: (N, K·C, L, H, W) -> the same of less or more."""

    weight: Tensor
    bias: Tensor
    pool: tuple[tuple[int, int, int], int | tuple[int, int, int]] | None
    groups: int

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> "GroupedLayer":
        weight = torch.cat([layer.weight for layer in layers])
        weight = weight.contiguous(memory_format=torch.channels_last_3d)
        bias = torch.cat([layer.bias for layer in layers])
        return cls(weight, bias, layers[0].pool, len(layers))

    def __call__(self, x: Tensor) -> Tensor:
        x = F.conv3d(x, self.weight, padding=1, groups=self.groups)
        if self.pool is not None:
            kernel, padding = self.pool
            x = F.max_pool3d(x, kernel, kernel, padding)
        return x.add_(self.bias).relu_()


class GroupedExtraction:
    """Prepared clips (N, T, H, W, 3) uint8 -> features (N, K, D, T', H', W')."""

    def __init__(self, extraction: HalfExtraction) -> None:
        self.extraction = extraction
        self.layers = [GroupedLayer.of(layers) for layers in zip(*extraction.branches, strict=True)]

    def __call__(self, clips: Tensor, jobs: Jobs = in_turn) -> Tensor:
        fragments = range(len(self.extraction.frames))
        x = torch.cat([self.extraction.pixels(i, clips) for i in fragments], dim=1)
        for layer in self.layers:
            x = layer(x)
        return x.unflatten(1, (len(fragments), -1))
