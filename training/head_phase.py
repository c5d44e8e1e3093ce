"""
Training of the head alone, on features that frozen extractors gave once.

An epoch takes seconds. Every clip is kept in V variants (start shift and look); fragments are
blanked by putting the extractor's answer to black frames in their place.

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
from training.forward import blank_features, evaluating
from training.trainee import Outcome, Trainee

FEATURE_BATCH = 32  # clips
SCORE_BATCH = 256


@dataclass(frozen=True, slots=True)
class HeadInputs:
    features: Tensor
    """(B, K, D, T', H', W')"""
    clips: NDArray[np.int64]


class HeadPhase:
    name = "head"

    def __init__(self, trainee: Trainee, bar: Bar) -> None:
        """Computes the features; `bar` shows how far it is."""
        self.trainee = trainee
        run, material = trainee.run, trainee.material
        self.epochs = run.head_epochs
        self.groups = [{"params": list(trainee.network.head.parameters()), "base": run.head_rate}]
        self._row = {int(clip): row for row, clip in enumerate(material.training)}
        variation = Variation(shift=run.shift, blanking=0.0, augmentation=run.augmentation)
        with evaluating(trainee.network):
            self._blank = blank_features(trainee.network, trainee.device)
            variants = [
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
            self._training = torch.stack(variants)  # (V, N, K, D, T', H', W')
            self._validation = self._features(
                trainee.batches(material.validation, FEATURE_BATCH), bar, "validation features"
            )

    def _features(self, batches: Batches, bar: Bar, title: str) -> Tensor:
        """(N, K, D, T', H', W') in half precision."""
        kept = []
        for number, batch in enumerate(batches, 1):
            kept.append(self.trainee.features(batch, frozen=True).to(torch.bfloat16))
            bar.update(number, len(batches), phase=title)
        return torch.cat(kept)

    @property
    def batches(self) -> int:
        return max(1, len(self._row) // self.trainee.run.head_batch)

    def inputs(self, epoch: int, first: int) -> Iterator[HeadInputs]:
        run, material = self.trainee.run, self.trainee.material
        order = np.random.default_rng([run.seed, 1, epoch]).permutation(material.training)
        variants = np.random.default_rng([run.seed, 2, epoch]).integers(
            run.head_variants, size=len(order)
        )
        blanking = Variation(shift=False, blanking=run.blanking, augmentation=Augmentation())
        for number in range(first, self.batches):
            part = slice(number * run.head_batch, (number + 1) * run.head_batch)
            clips = order[part]
            rows = [self._row[int(clip)] for clip in clips]
            features = self._training[variants[part], rows].float()
            for row, clip in enumerate(clips):
                hidden = blanking.draw(material.spec, run.seed, (epoch, 3), int(clip)).hidden
                for i, k in enumerate(self.trainee.network.used):
                    if k in hidden:
                        features[row, i] = self._blank[i]
            yield HeadInputs(features, clips)

    def forward(self, inputs: HeadInputs) -> Outcome:
        self.trainee.network.head.train()
        predicted = self.trainee.score(inputs.features)
        judged = self.trainee.judged(inputs.clips)
        return Outcome(predicted, judged, auxiliary=predicted.new_zeros(()))

    def validate(self) -> NDArray[np.float32]:
        parts = torch.split(self._validation, SCORE_BATCH)
        with evaluating(self.trainee.network):
            scores = torch.cat([self.trainee.score(part.float()) for part in parts])
        predicted: NDArray[np.float32] = scores.cpu().numpy()
        return predicted
