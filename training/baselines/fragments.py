"""
What one C3D extractor makes of every fragment of every clip: the input of the C3D baselines.

Shapes: N clips, K fragments, P values a fragment.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_store.clip import blank_fragments, cut
from model_store.network import C3DExtractor, FragmentNetwork, NetworkSpec
from model_store.spec import ClipSpec
from training.datasets.annotations import JudgedClip
from training.evaluate import prepared_clips
from training.forward import Device, evaluating, fragment_features
from training.trainer import load_extractor


@dataclass(frozen=True, slots=True)
class Fragments:
    features: NDArray[np.float32]
    """(N, K, P)"""
    shown: NDArray[np.bool_]
    """(N, K): not blank, that is, not padding."""

    def __getitem__(self, clips: slice) -> "Fragments":
        return Fragments(self.features[clips], self.shown[clips])

    def mean(self) -> NDArray[np.float32]:
        """(N, P): of each clip's shown fragments."""
        weights = self.shown[:, :, None].astype(np.float32)
        total: NDArray[np.float32] = (self.features * weights).sum(axis=1)
        mean: NDArray[np.float32] = total / np.maximum(weights.sum(axis=1), 1)
        return mean


@dataclass(frozen=True, slots=True)
class Extraction:
    """An extractor, and the clips that it was made for."""

    network: FragmentNetwork
    """Its first extractor is used, for every fragment."""
    spec: ClipSpec

    @classmethod
    def of_file(cls, path: Path, network: NetworkSpec, spec: ClipSpec) -> "Extraction":
        """From extractor.safetensors.   Raises RunError."""
        single = FragmentNetwork(dataclasses.replace(network, fragments_used=(0,)), spec)
        load_extractor(single, path)
        return cls(single, spec)

    def of_clips(
        self, clips: Sequence[JudgedClip], progress: Callable[[int, int], None]
    ) -> Fragments:
        """Raises DataError, naming the clip, where one cannot be used."""
        device = Device.best()
        network = self.network.to(device.kind)
        extractor = network.extractors[0]
        assert isinstance(extractor, C3DExtractor)
        features, shown = [], []
        with evaluating(network):
            for timed in prepared_clips(clips, self.spec):
                frames = timed.frames[None]  # (1, T, H, W, 3)
                fragments = torch.from_numpy(cut(frames, self.spec)[0]).to(device.kind)
                with device.autocast():
                    seen = fragment_features(
                        extractor, fragments, network.mean, device, frozen=True
                    )
                features.append(seen.flatten(1).float().cpu().numpy())  # (K, P)
                shown.append(~blank_fragments(frames, self.spec)[0])
                progress(len(features), len(clips))
        return Fragments(np.stack(features), np.stack(shown))
