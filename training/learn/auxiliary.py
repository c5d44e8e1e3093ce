"""
Throw-away heads that predict what a fragment shows, to teach the extractors what to look at.

The published network does not have them. Targets are brought to mean 0 and deviation 1; a target
that is NaN is left out; the groups of targets (state, joints, stages, deductions) weigh alike.

Shapes: B fragments, D·T'·H'·W' flattened features, J targets.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.targets import FragmentTargets

SAMPLED = 2000  # fragments from which means and deviations are measured


class TargetScale(nn.Module):
    """Means and deviations of the targets, (J,) each."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @classmethod
    def measure(
        cls, targets: FragmentTargets, clips: NDArray[np.int64], seed: int
    ) -> "TargetScale":
        """From random fragments of these clips."""
        random = np.random.default_rng([seed, SAMPLED])
        rows = []
        for clip in random.choice(clips, SAMPLED):
            room = max(1, targets.length(int(clip)) - targets.spec.fragment_length + 1)
            rows.append(targets.at(int(clip), int(random.integers(room))))
        values = np.stack(rows).astype(np.float64)  # (n, J)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, values, 0)
        mean = filled.sum(axis=0) / count
        deviation = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / count)
        deviation[deviation < 1e-6] = 1.0
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(deviation).float())

    def forward(self, targets: Tensor) -> Tensor:
        scaled: Tensor = (targets - self.mean) / self.deviation
        return scaled


def masked_loss(predicted: Tensor, targets: Tensor, groups: dict[str, slice]) -> Tensor:
    """Mean over the groups of the smooth L1 over known targets: (B, J), (B, J) -> ()."""
    known = ~torch.isnan(targets)
    each = F.smooth_l1_loss(predicted, targets.nan_to_num(), reduction="none") * known
    parts = [each[:, group].sum() / known[:, group].sum().clamp_min(1) for group in groups.values()]
    return torch.stack(parts).mean()


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
