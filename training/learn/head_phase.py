"""
Training of the head alone, on features that frozen extractors gave once.

An epoch takes seconds. Fragments are blanked by putting the extractor's answer to black frames in
their place. Several processes do not share it: each makes every step whole, so that statistics
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
from training.data.batches import Variation, evenly, fitting, full
from training.data.pairs import shuffled
from training.distributed import ALONE
from training.learn.frozen_features import FrozenFeatures
from training.learn.learner import Learner, Outcome, Predictions

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

    @property
    def whole(self) -> int:
        return len(self.clips)


class HeadPhase:
    name = "head"

    def __init__(self, learner: Learner, frozen: FrozenFeatures) -> None:
        self.learner, self.frozen = learner, frozen
        run, dataset = learner.run, learner.dataset
        self.epochs, self.accumulate = run.head_epochs, 1
        self.processes = ALONE
        there = len(dataset.training)
        self.batches = full(there, fitting(run.head_batch, there))
        self.groups = [{"params": list(learner.network.head.parameters()), "base": run.head_rate}]

    def inputs(self, epoch: int, first: int) -> Iterator[HeadInputs]:
        run, dataset = self.learner.run, self.learner.dataset
        order = shuffled(
            np.random.default_rng([run.seed, 1, epoch]), dataset.training, dataset.leader
        )
        variant_of = np.random.default_rng([run.seed, 2, epoch]).integers(
            self.frozen.variants, size=len(dataset.leader)
        )
        blanking = Variation(shift=False, blanking=run.blanking, augmentation=Augmentation())
        for clips in evenly(order, self.batches, dataset.leader)[first:]:
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
            yield HeadInputs(features.to(self.learner.device.kind), clips, starts, shown)

    def forward(self, inputs: HeadInputs) -> Outcome:
        learner = self.learner
        learner.network.head.train()
        predicted = learner.score(inputs.features)
        wanted = learner.wanted(inputs.clips, inputs.starts, inputs.shown)
        nothing = predicted.new_zeros(0)
        return Outcome(predicted, wanted, auxiliary=nothing, targets=nothing)

    def predict(self, clips: NDArray[np.int64]) -> Predictions:
        served = self.frozen.served[:, clips]
        return self.learner.predict(torch.split(view, SCORE_BATCH) for view in served)
