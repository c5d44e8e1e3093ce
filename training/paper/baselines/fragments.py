"""
What one C3D extractor makes of every fragment of every clip: the input of the C3D baselines.

Shapes: N clips, K fragments, P values a fragment.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.clip import blank_fragments, cut
from model_store.network import C3DExtractor, FragmentNetwork
from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec
from training.data.split import Indices
from training.learn.arithmetic import trusted_device
from training.learn.first_weights import load_extractor
from training.learn.forward import evaluating, fragment_features
from training.measure.evaluate import BATCH
from training.paper.baselines.prepared import PreparedClips


@dataclass(frozen=True, slots=True)
class Fragments:
    features: NDArray[np.float32]
    """(N, K, P)"""
    shown: NDArray[np.bool_]
    """(N, K): not blank, that is, not padding."""

    def __getitem__(self, clips: slice | Indices) -> "Fragments":
        return Fragments(self.features[clips], self.shown[clips])

    def mean(self) -> NDArray[np.float32]:
        """(N, P): of each clip's shown fragments."""
        weights = self.shown[:, :, None].astype(np.float32)
        total: NDArray[np.float32] = (self.features * weights).sum(axis=1)
        mean: NDArray[np.float32] = total / np.maximum(weights.sum(axis=1), 1)
        return mean


@dataclass(frozen=True, slots=True)
class Extraction:
    """Extractors, the fragments that they describe, and the clips that they were made for."""

    extractors: nn.ModuleList
    """K of them; from a file K times the same."""
    used: tuple[int, ...]
    """The fragment that each describes."""
    mean: Tensor
    spec: ClipSpec

    @classmethod
    def of_network(cls, network: FragmentNetwork) -> "Extraction":
        """Every extractor for its own fragment, as the network itself sees it."""
        return cls(network.extractors, network.used, network.mean, network.clip_spec)

    @classmethod
    def of_file(cls, path: Path, network: NetworkSpec, spec: ClipSpec) -> "Extraction":
        """The one of extractor.safetensors for all fragments.   Raises RunError."""
        single = FragmentNetwork(dataclasses.replace(network, fragments_used=(0,)), spec)
        load_extractor(single, path)
        used = tuple(range(spec.fragments))
        return cls(nn.ModuleList([single.extractors[0] for _ in used]), used, single.mean, spec)

    def of_clips(self, clips: PreparedClips, progress: Callable[[int, int], None]) -> Fragments:
        sizes = {min(BATCH, len(clips)), len(clips) % BATCH or 1}
        device = trusted_device("auto", self.extractors[0], self.spec, (), sizes)
        extractors, mean = self.extractors.to(device.kind), self.mean.to(device.kind)
        features, shown = [], []
        with evaluating(extractors):
            for begin in range(0, len(clips), BATCH):
                rows = range(begin, min(begin + BATCH, len(clips)))
                frames = np.stack([clips[row] for row in rows])  # (B, T, H, W, 3)
                fragments = torch.from_numpy(cut(frames, self.spec)).to(device.kind)
                described = []
                for k, extractor in zip(self.used, extractors, strict=True):
                    assert isinstance(extractor, C3DExtractor)
                    seen = fragment_features(extractor, fragments[:, k], mean, device, frozen=True)
                    described.append(seen.flatten(1).cpu().numpy())  # (B, P)
                features.append(np.stack(described, axis=1))  # (B, K, P)
                shown.append(~blank_fragments(frames, self.spec)[:, self.used])
                progress(rows.stop, len(clips))
        return Fragments(np.concatenate(features), np.concatenate(shown))
