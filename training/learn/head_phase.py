"""
Training of the head alone, on features that frozen extractors gave once.

An epoch takes seconds. Fragments are blanked by putting the features of black frames in their
place. Several processes do not share a batch here: each makes every step whole, so that statistics
over a batch are those of the batch.

Shapes: B clips, K fragments used, (D, T', H', W') a fragment's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.augment import Augmentation
from training.data.batches import Variation, fitting, full
from training.data.pairs import divided, shuffled
from training.distributed import ALONE
from training.learn.auxiliary import AuxiliaryHeads
from training.learn.frozen_features import FrozenFeatures
from training.learn.learner import Learner, Predictions

SCORE_BATCH = 256


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """Features of the clips of a step."""

    features: Tensor
    """(B, K, D, T', H', W')"""
    clips: NDArray[np.int64]
    starts: NDArray[np.int64]
    shown: Tensor

    @property
    def whole(self) -> int:
        return len(self.clips)


class HeadPhase:
    name = "head"
    auxiliary: AuxiliaryHeads | None = None

    def __init__(self, learner: Learner, frozen: FrozenFeatures) -> None:
        self.learner, self.frozen = learner, frozen
        run, dataset = learner.run, learner.dataset
        self.epochs, self.accumulate = run.head_epochs, 1
        self.processes = ALONE
        there = len(dataset.training)
        self.steps = full(there, fitting(run.head_batch, there))
        self.groups = [{"params": list(learner.network.head.parameters()), "base": run.head_rate}]

    def micro_batches(self, epoch: int, first: int) -> Iterator[FeatureBatch]:
        run, dataset = self.learner.run, self.learner.dataset
        order = shuffled(
            np.random.default_rng([run.seed, 1, epoch]), dataset.training, dataset.leader
        )
        variant_of = np.random.default_rng([run.seed, 2, epoch]).integers(
            len(self.frozen.features), size=len(dataset.leader)
        )
        blanking = Variation(shift=False, blanking=run.blanking, augmentation=Augmentation())
        for clips in divided(order, self.steps, dataset.leader)[first:]:
            leader = dataset.leader[clips]  # the clips of a pair are varied alike
            variants = variant_of[leader]
            features = self.frozen.features[variants, clips]  # (B, K, D, T', H', W')
            shown = self.frozen.shown[variants, clips]
            for row, clip in enumerate(leader):
                hidden = blanking.draw(dataset.spec, run.seed, (epoch, 3), int(clip)).hidden
                shown[row, list(hidden)] = False
                for i, k in enumerate(self.learner.network.used):
                    if k in hidden:
                        features[row, i] = self.frozen.blank[i]
            starts = self.frozen.starts[variants, clips]
            yield FeatureBatch(
                self.learner.device.put(features), clips, starts, torch.from_numpy(shown)
            )

    def features(self, batch: FeatureBatch) -> Tensor:
        self.learner.network.head.train()
        return batch.features

    def auxiliary_targets(self, batch: FeatureBatch) -> Tensor:
        return batch.features.new_zeros(0)

    def predict(self, clips: NDArray[np.int64]) -> Predictions:
        parts = [clips[first : first + SCORE_BATCH] for first in range(0, len(clips), SCORE_BATCH)]
        return self.learner.predict((view[part] for part in parts) for view in self.frozen.served)
