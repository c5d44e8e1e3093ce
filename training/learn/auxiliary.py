"""
Auxiliary heads that predict what a fragment shows, so that the extractors learn what to look at.

The published network does not have them. Their targets are those of `data/targets.py`.

Shapes: B fragments, D·T'·H'·W' flattened features, J targets.
"""

import math

import torch
from torch import Tensor, nn

from training.data.targets import TargetScale


class AuxiliaryHeads(nn.Module):
    """One linear head for each extractor: (B, K, D, T', H', W') -> (B, K, J)."""

    def __init__(self, fragments: int, feature_shape: tuple[int, ...], scale: TargetScale) -> None:
        super().__init__()
        flat, targets = math.prod(feature_shape), len(scale.mean)
        self.scale = scale
        self.heads = nn.ModuleList(nn.Linear(flat, targets) for _ in range(fragments))

    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(2)  # (B, K, D·T'·H'·W')
        return torch.stack([head(flat[:, k]) for k, head in enumerate(self.heads)], dim=1)
