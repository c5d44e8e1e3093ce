"""
The two phases of a run: the head alone on kept features, then the whole network.

Each says what is optimised, makes the inputs of a step and turns them into predictions; the
trainer does the rest. Batch normalisation in frozen extractors uses its running statistics.

Shapes: B clips, K fragments used, V variants of a clip, (D, T', H', W') a fragment's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.network import FragmentNetwork
from training.auxiliary import AuxiliaryHeads, masked_loss
from training.batches import NO_VARIATION, Batch, Batches, Variation
from training.display import Bar
from training.forward import (
    Device,
    blank_features,
    evaluating,
    features_by_fragment,
    join,
)
from training.material import Material
from training.runspec import RunSpec

FEATURE_BATCH = 32  # clips whose features are computed at once


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step predicted; `auxiliary` is a loss in points²."""

    predicted: Tensor
    judged: Tensor
    auxiliary: Tensor


@dataclass
class Trainee:
    """What is trained, with what, on what."""

    run: RunSpec
    material: Material
    network: FragmentNetwork
    auxiliary: AuxiliaryHeads | None
    device: Device

    def judged(self, clips: NDArray[np.int64]) -> Tensor:
        """Scores of these clips, (B,) points."""
        return torch.from_numpy(self.material.judged[clips]).to(self.device.kind)

    def features(self, batch: Batch, *, frozen: bool) -> Tensor:
        """(B, K, D, T', H', W')"""
        with self.device.autocast():
            return features_by_fragment(
                self.network,
                batch.fragments.to(self.device.kind, non_blocking=True),
                batch.shown.to(self.device.kind),
                self.device,
                frozen=frozen,
            )

    def score(self, features: Tensor) -> Tensor:
        """(B, K, D, T', H', W') -> (B,) points"""
        with self.device.autocast():
            predicted: Tensor = self.network.head(join(features))
        return predicted.float()

    def batches(self, clips: NDArray[np.int64], size: int, **options: Any) -> Batches:
        return Batches(
            cache=self.material.cache, spec=self.material.spec, clips=clips, size=size, **options
        )

    def validate(self) -> NDArray[np.float32]:
        """Predictions for the validation clips, as the service sees them."""
        with evaluating(self.network):
            scores = [
                self.score(self.features(batch, frozen=True)).cpu()
                for batch in self.batches(self.material.validation, FEATURE_BATCH)
            ]
        predicted: NDArray[np.float32] = torch.cat(scores).numpy()
        return predicted


class Phase(Protocol):
    name: str
    epochs: int
    groups: list[dict[str, Any]]
    """Parameter groups with a `base` learning rate each."""

    @property
    def batches(self) -> int:
        """Steps an epoch."""
        ...

    def inputs(self, epoch: int, first: int) -> Iterator[Any]:
        """Of the steps of an epoch from number `first` on."""
        ...

    def forward(self, inputs: Any) -> Outcome: ...

    def validate(self) -> NDArray[np.float32]:
        """(M,) predictions for the validation clips."""
        ...


class WholePhase:
    """Extractors and head together."""

    name = "all"

    def __init__(self, trainee: Trainee) -> None:
        self.trainee = trainee
        run, network = trainee.run, trainee.network
        self.epochs = run.epochs
        self.groups = [
            {"params": list(network.extractors.parameters()), "base": run.extractor_rate},
            {"params": list(network.head.parameters()), "base": run.rate},
        ]
        if trainee.auxiliary is not None:
            self.groups.append({"params": list(trainee.auxiliary.parameters()), "base": run.rate})

    def _epoch(self, epoch: int) -> Batches:
        run = self.trainee.run
        return self.trainee.batches(
            self.trainee.material.training,
            run.batch,
            variation=Variation(
                shift=run.shift, blanking=run.blanking, augmentation=run.augmentation
            ),
            seed=run.seed,
            epoch=epoch,
        )

    @property
    def batches(self) -> int:
        return len(self._epoch(0))

    def inputs(self, epoch: int, first: int) -> Iterator[Batch]:
        return self._epoch(epoch).begin_at(first)

    def forward(self, inputs: Batch) -> Outcome:
        trainee, frozen = self.trainee, self.trainee.run.frozen_norm
        trainee.network.train()
        if frozen:
            for module in trainee.network.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()
        features = trainee.features(inputs, frozen=frozen)
        return Outcome(
            trainee.score(features),
            trainee.judged(inputs.clips),
            self._auxiliary(inputs, features.float()),
        )

    def _auxiliary(self, batch: Batch, features: Tensor) -> Tensor:
        heads, material = self.trainee.auxiliary, self.trainee.material
        if heads is None:
            return features.new_zeros(())
        spec, targets = material.spec, material.targets
        rows = []
        for clip, draw, shown in zip(batch.clips, batch.draws, batch.shown, strict=True):
            first = targets.first_frame(int(clip), draw.start)
            for k in self.trainee.network.used:
                begin = first + k * spec.fragment_length
                row = targets.at(int(clip), begin, draw.look) if shown[k] else None
                rows.append(np.full(targets.size, np.nan, np.float32) if row is None else row)
        wanted = torch.from_numpy(np.stack(rows)).to(features.device)  # (B·K, J)
        loss = masked_loss(heads(features).flatten(0, 1), heads.scale(wanted), targets.groups)
        return self.trainee.run.auxiliary * 0.5 * material.deviation**2 * loss

    def validate(self) -> NDArray[np.float32]:
        return self.trainee.validate()


@dataclass(frozen=True, slots=True)
class HeadInputs:
    features: Tensor
    """(B, K, D, T', H', W')"""
    clips: NDArray[np.int64]


@dataclass
class HeadPhase:
    """The head on features that were computed once, for V variants of every clip."""

    trainee: Trainee
    bar: Bar
    name: str = "head"
    groups: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        trainee, run = self.trainee, self.trainee.run
        self.epochs = run.head_epochs
        self.groups = [{"params": list(trainee.network.head.parameters()), "base": run.head_rate}]
        self._place = {int(clip): i for i, clip in enumerate(trainee.material.training)}
        variation = Variation(shift=run.shift, blanking=0.0, augmentation=run.augmentation)
        with evaluating(trainee.network):
            self._blank = blank_features(trainee.network, trainee.device)
            self._features = torch.stack(
                [
                    self._compute(
                        trainee.material.training,
                        f"features {v + 1}/{run.head_variants}",
                        variation=variation,
                        seed=run.seed,
                        epoch=None,
                        variant=v,
                    )
                    for v in range(run.head_variants)
                ]
            )  # (V, N, K, D, T', H', W')
            self._validation = self._compute(
                trainee.material.validation, "validation features", variation=NO_VARIATION
            )

    def _compute(self, clips: NDArray[np.int64], phase: str, **options: Any) -> Tensor:
        variant = options.pop("variant", 0)
        batches = self.trainee.batches(clips, FEATURE_BATCH, variant=variant, **options)
        kept = []
        for number, batch in enumerate(batches, 1):
            kept.append(self.trainee.features(batch, frozen=True).to(torch.bfloat16))
            self.bar.update(number, len(batches), phase=phase)
        return torch.cat(kept)

    @property
    def batches(self) -> int:
        return max(1, len(self._place) // self.trainee.run.head_batch)

    def inputs(self, epoch: int, first: int) -> Iterator[HeadInputs]:
        run, material = self.trainee.run, self.trainee.material
        variation = Variation(
            shift=False, blanking=run.blanking, augmentation=NO_VARIATION.augmentation
        )
        order = np.random.default_rng([run.seed, 1, epoch]).permutation(material.training)
        variants = np.random.default_rng([run.seed, 2, epoch]).integers(
            run.head_variants, size=len(order)
        )
        for number in range(first, self.batches):
            part = slice(number * run.head_batch, (number + 1) * run.head_batch)
            clips = order[part]
            rows = [self._place[int(clip)] for clip in clips]
            features = self._features[variants[part], rows].float()
            for row, clip in enumerate(clips):
                hidden = set(variation.draw(material.spec, run.seed, (epoch, 3), int(clip)).hidden)
                for i, k in enumerate(self.trainee.network.used):
                    if k in hidden:
                        features[row, i] = self._blank[i]
            yield HeadInputs(features, clips)

    def forward(self, inputs: HeadInputs) -> Outcome:
        self.trainee.network.head.train()
        predicted = self.trainee.score(inputs.features)
        return Outcome(predicted, self.trainee.judged(inputs.clips), predicted.new_zeros(()))

    def validate(self) -> NDArray[np.float32]:
        with evaluating(self.trainee.network):
            predicted: NDArray[np.float32] = (
                torch.cat(
                    [
                        self.trainee.score(part.float())
                        for part in torch.split(self._validation, 256)
                    ]
                )
                .cpu()
                .numpy()
            )
        return predicted
