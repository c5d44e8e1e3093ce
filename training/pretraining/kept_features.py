"""
Learning without forgetting: what an extractor sees of some clips stays as it was.

Whatever a pretext task teaches of one kind of clips changes what the extractor sees of every other
kind. Here its features of those others are held near those of the extractor that it begins with
(Li and Hoiem, Learning without Forgetting, ECCV 2016). No score of theirs is learned from.

Shapes: B fragments, L frames a fragment, H W pixels, … of a fragment's features.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.network import C3DExtractor
from training.data.augment import Augmentation
from training.data.clip_dataset import ClipDataset
from training.data.resident_clips import ResidentClips
from training.learn.forward import Device, fragment_features
from training.pretraining.pretext_tasks import random_fragments, shown_fragments


@dataclass(frozen=True, slots=True)
class KeptClips:
    """The clips whose features are kept."""

    dataset: ClipDataset
    resident: ResidentClips | None = None

    def batch(
        self, clips: NDArray[np.int64], random: np.random.Generator, augmentation: Augmentation
    ) -> Tensor:
        """(B) -> (B, L, H, W, 3) uint8, on the CPU or where the clips are resident"""
        cache, spec = self.dataset.cache, self.dataset.spec
        drawn = list(random_fragments(cache, spec, clips, random, augmentation))
        return shown_fragments(cache, self.resident, spec, clips, drawn)


@dataclass(frozen=True, slots=True)
class FirstFeatures:
    """What the extractor saw when it began."""

    extractor: C3DExtractor
    mean: Tensor
    device: Device

    @classmethod
    def of(cls, extractor: C3DExtractor, mean: Tensor, device: Device) -> "FirstFeatures":
        return cls(copy.deepcopy(extractor).requires_grad_(False), mean, device)

    def change(self, features: Tensor, fragments: Tensor) -> Tensor:
        """How far features, (B, …), of fragments, (B, L, H, W, 3), are from the first ones.

        -> (), mean square over the first features' variance: 0 for the same, 1 for features that
        say as little of them as their mean does.
        """
        with torch.no_grad():
            first = fragment_features(self.extractor, fragments, self.mean, self.device, True)
            variance = (first - first.mean(dim=0)).square().mean().clamp_min(1e-12)
        return (features - first).square().mean() / variance
