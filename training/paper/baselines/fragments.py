"""
What one C3D extractor makes of every fragment of every clip: the input of the C3D baselines.

Shapes: N clips, K fragments, P values a fragment, (D, T', H', W') of pool5.

[Parmar17] P. Parmar, B. T. Morris. Learning to Score Olympic Events. CVPR Workshops 2017.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model_store.clip import blank_fragments, cut
from model_store.network import C3DExtractor, FragmentNetwork
from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec
from training.data.split import Indices
from training.errors import RunError
from training.learn.arithmetic import trusted_device
from training.learn.extractor_file import read_fc6
from training.learn.first_weights import load_extractor
from training.learn.forward import evaluating, fragment_features
from training.measure.evaluate import BATCH
from training.paper.baselines.prepared import PreparedClips

LENGTH = 16  # frames that published C3D weights were taught on


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
    """Of the fragments."""
    fc6: nn.Linear | None = None
    """What follows pool5; None: fragments are described by pool5 itself."""

    @classmethod
    def of_network(cls, network: FragmentNetwork) -> "Extraction":
        """pool5 of every extractor for its own fragment, as the network itself sees it."""
        return cls(network.extractors, network.used, network.mean, network.clip_spec)

    @classmethod
    def of_file(cls, path: Path, network: NetworkSpec, spec: ClipSpec) -> "Extraction":
        """pool5 of the one of extractor.safetensors for all fragments.   Raises RunError."""
        single = FragmentNetwork(dataclasses.replace(network, fragments_used=(0,)), spec)
        load_extractor(single, path)
        used = tuple(range(spec.fragments))
        return cls(nn.ModuleList([single.extractors[0] for _ in used]), used, single.mean, spec)

    @classmethod
    def by_fc6(cls, path: Path, network: NetworkSpec, spec: ClipSpec) -> "Extraction":
        """fc6 of the file, after its ReLU, for consecutive parts of 16 frames.   [Parmar17 §3.1]

        Raises RunError for a file without fc6, or with one for pictures of another size.
        """
        weights = read_fc6(path)
        if weights is None:
            raise RunError(
                f"{path} has the convolutions conv1a … conv5b and no fc6: import-c3d keeps it"
                " where published weights have it, and the methods c3d-pool5-svr and"
                " c3d-pool5-lstm need none"
            )
        count = spec.frames // LENGTH
        start = min(spec.start, spec.frames - count * LENGTH)
        parts = dataclasses.replace(spec, fragments=count, fragment_length=LENGTH, start=start)
        found = cls.of_file(path, network, parts)
        with torch.device("meta"):
            shape = FragmentNetwork(network, parts).fragment_feature_shape
        outputs, inputs = weights[0].shape
        if inputs != math.prod(shape):
            height, width = spec.crop
            raise RunError(
                f"{path} has an fc6 of {inputs} values, pool5 of {height}×{width} pixels has"
                f" {math.prod(shape)}: published weights need --preset paper and its size, 112×112"
            )
        fc6 = nn.Linear(inputs, outputs, device="meta")
        fc6.load_state_dict(dict(zip(("weight", "bias"), weights, strict=True)), assign=True)
        return dataclasses.replace(found, fc6=fc6)

    def of_clips(self, clips: PreparedClips, progress: Callable[[int, int], None]) -> Fragments:
        sizes = {min(BATCH, len(clips)), len(clips) % BATCH or 1}
        device = trusted_device("auto", self.extractors[0], self.spec, (), sizes)
        extractors, mean = self.extractors.to(device.kind), self.mean.to(device.kind)
        fc6 = None if self.fc6 is None else self.fc6.to(device.kind)
        features, shown = [], []
        with evaluating(extractors):
            for begin in range(0, len(clips), BATCH):
                rows = range(begin, min(begin + BATCH, len(clips)))
                frames = np.stack([clips[row] for row in rows])  # (B, T, H, W, 3)
                fragments = torch.from_numpy(cut(frames, self.spec)).to(device.kind)
                described = []
                for k, extractor in zip(self.used, extractors, strict=True):
                    assert isinstance(extractor, C3DExtractor)
                    pool5 = fragment_features(extractor, fragments[:, k], mean, device, frozen=True)
                    seen = pool5.flatten(1)  # (B, D·T'·H'·W')
                    if fc6 is not None:
                        seen = F.relu(fc6(seen))
                    described.append(seen.cpu().numpy())  # (B, P)
                features.append(np.stack(described, axis=1))  # (B, K, P)
                shown.append(~blank_fragments(frames, self.spec)[:, self.used])
                progress(rows.stop, len(clips))
        return Fragments(np.concatenate(features), np.concatenate(shown))
