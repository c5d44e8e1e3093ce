"""
Training of the head alone, on features that frozen extractors gave once.

An epoch takes seconds. Every clip is kept in V variants (start shift and look); fragments are
blanked by putting the extractor's answer to black frames in their place. Several processes do not
share it: each makes every step whole, so that statistics over a batch are those of the batch.

Shapes: N clips, K fragments used, V variants, (D, T', H', W') a fragment's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import Augmentation
from training.batches import Batches, Variation
from training.display import Bar
from training.distributed import ALONE
from training.forward import blank_features, evaluating
from training.pairs import shuffled
from training.trainee import Outcome, Trainee

FEATURE_BATCH = 32  # clips
SCORE_BATCH = 256


@dataclass(frozen=True, slots=True)
class HeadInputs:
    features: Tensor
    """(B, K, D, T', H', W')"""
    clips: NDArray[np.int64]
    starts: NDArray[np.int64]
    """(B,) frames at which the fragments begin."""
    shown: NDArray[np.bool_]
    """(B, K), K of the clip and not only those used."""


@dataclass(frozen=True, slots=True)
class KeptFeatures:
    """Of N clips, computed once."""

    features: Tensor
    """(N, K, D, T', H', W') in half precision"""
    starts: NDArray[np.int64]
    """(N,)"""
    shown: NDArray[np.bool_]
    """(N, K): fragments that are not blank by themselves."""


class HeadPhase:
    name = "head"

    def __init__(self, trainee: Trainee, bar: Bar) -> None:
        """Computes the features; `bar` shows how far it is."""
        self.trainee = trainee
        run, material = trainee.run, trainee.material
        self.epochs, self.accumulate = run.head_epochs, 1
        self.processes = ALONE
        self._size = min(run.head_batch, len(material.training))
        self.batches = len(material.training) // self._size
        self.groups = [{"params": list(trainee.network.head.parameters()), "base": run.head_rate}]
        self._row = {int(clip): row for row, clip in enumerate(material.training)}
        variation = Variation(shift=run.shift, blanking=0.0, augmentation=run.augmentation)
        with evaluating(trainee.network):
            self._blank = blank_features(trainee.network, trainee.device)
            self._variants = [
                self._features(
                    trainee.batches(
                        material.training,
                        FEATURE_BATCH,
                        variation=variation,
                        seed=run.seed,
                        variant=variant,
                    ),
                    bar,
                    f"features {variant + 1}/{run.head_variants}",
                )
                for variant in range(run.head_variants)
            ]
            self._validation = self._features(
                trainee.batches(material.validation, FEATURE_BATCH), bar, "validation features"
            ).features

    def _features(self, batches: Batches, bar: Bar, title: str) -> KeptFeatures:
        features, starts, shown = [], [], []
        for number, batch in enumerate(batches, 1):
            features.append(self.trainee.features(batch, frozen=True).to(torch.bfloat16))
            starts.append(batch.starts)
            shown.append(batch.shown.numpy())
            bar.update(number, len(batches), phase=title)
        return KeptFeatures(torch.cat(features), np.concatenate(starts), np.concatenate(shown))

    def inputs(self, epoch: int, first: int) -> Iterator[HeadInputs]:
        run, material = self.trainee.run, self.trainee.material
        order = shuffled(
            np.random.default_rng([run.seed, 1, epoch]), material.training, material.leader
        )
        variant_of = np.random.default_rng([run.seed, 2, epoch]).integers(
            run.head_variants, size=len(material.leader)
        )
        blanking = Variation(shift=False, blanking=run.blanking, augmentation=Augmentation())
        for number in range(first, self.batches):
            clips = order[number * self._size : (number + 1) * self._size]
            leader = material.leader[clips]  # the clips of a pair are varied alike
            kept = [
                (self._variants[variant], self._row[int(clip)])
                for variant, clip in zip(variant_of[leader], clips, strict=True)
            ]
            features = torch.stack([one.features[row] for one, row in kept]).float()
            shown = np.stack([one.shown[row] for one, row in kept])
            for row, clip in enumerate(leader):
                hidden = blanking.draw(material.spec, run.seed, (epoch, 3), int(clip)).hidden
                shown[row, list(hidden)] = False
                for i, k in enumerate(self.trainee.network.used):
                    if k in hidden:
                        features[row, i] = self._blank[i]
            starts = np.array([one.starts[row] for one, row in kept])
            yield HeadInputs(features, clips, starts, shown)

    def forward(self, inputs: HeadInputs) -> Outcome:
        trainee = self.trainee
        trainee.network.head.train()
        predicted = trainee.score(inputs.features)
        wanted = trainee.wanted(inputs.clips, inputs.starts, inputs.shown)
        nothing = predicted.new_zeros(0)
        return Outcome(predicted, wanted, auxiliary=nothing, targets=nothing)

    def validate(self) -> NDArray[np.float32]:
        parts = torch.split(self._validation, SCORE_BATCH)
        with evaluating(self.trainee.network):
            scores = torch.cat([self.trainee.score(part.float()) for part in parts])
        predicted: NDArray[np.float32] = scores.cpu().numpy()
        return predicted
