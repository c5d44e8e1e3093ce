"""
The network in two parts, so that an engine can run each as it likes, or both as one.

Shapes: B clips, T frames, K fragments that the network uses, M coalitions, features D T' H' W',
O outputs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.coalition_head import CoalitionHead
from model_store.contributions import Coalitions
from model_store.network import FragmentNetwork


class Extraction(nn.Module):
    """Prepared clips (B, T, H, W, 3) uint8 -> features (B, K, D, T', H', W')."""

    mean: Tensor

    def __init__(self, network: FragmentNetwork) -> None:
        super().__init__()
        self.extractors = network.extractors
        self.register_buffer("mean", network.mean.flatten())
        self.frames = [network.clip_spec.fragment_frames(index) for index in network.used]

    def forward(self, clips: Tensor) -> Tensor:
        features = []
        for frames, extractor in zip(self.frames, self.extractors, strict=True):
            # The mean first: the permuted pixels are then channels-last, as the kernels want them.
            pixels = clips[:, frames.start : frames.stop].to(self.mean.dtype) - self.mean
            pixels = pixels.permute(0, 4, 1, 2, 3)  # (B, 3, L, H, W)
            features.append(extractor(pixels.to(extractor.get_parameter("conv1a.weight").dtype)))
        return torch.stack(features, dim=1)


class Whole(nn.Module):
    """Prepared clips (B, T, H, W, 3) uint8 -> features, and scores of the coalitions (B, M, O)."""

    def __init__(self, parts: "Parts") -> None:
        super().__init__()
        self.extraction, self.coalition_head = parts.extraction, parts.coalition_head

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features = self.extraction(clips)
        return features, self.coalition_head(features)


@dataclass(frozen=True, slots=True)
class Parts:
    """A network, folded and taken apart."""

    network: FragmentNetwork
    extraction: Extraction
    coalition_head: CoalitionHead
    coalitions: Coalitions
    baseline: NDArray[np.float32]
    """(O,): the scores of the empty coalition, points."""

    @classmethod
    def of(cls, network: FragmentNetwork) -> "Parts":
        folded = network.folded()
        coalitions = Coalitions.of(len(folded.used))
        head = CoalitionHead(folded, coalitions.shown)
        with torch.inference_mode():
            baseline = head(head.blank[None])[0, 0].numpy()
        return cls(folded, Extraction(folded), head, coalitions, baseline)
