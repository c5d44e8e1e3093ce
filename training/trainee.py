"""
What a run trains, with what and on what; and what a phase of training must offer.

Shapes: B clips, K fragments used, (D, T', H', W') a fragment's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.network import FragmentNetwork
from training.auxiliary import AuxiliaryHeads, masked_loss
from training.batches import Batch, Batches, full
from training.distributed import ALONE, Processes
from training.errors import RunError
from training.forward import Device, features_by_fragment, join
from training.material import Material
from training.pairs import difference_loss
from training.runspec import RunSpec

LEAST_CLIPS = 2  # of a micro-batch: a ranking needs a pair, batch statistics a spread


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the losses of one step are made of, with one row for each clip or each fragment."""

    predicted: Tensor
    """(B,) points"""
    wanted: Tensor
    """(B,) points"""
    auxiliary: Tensor
    """(B·K, J) of the throw-away heads; (0,) without them."""
    targets: Tensor
    """(B·K, J) for them, NaN where it is not known or not shown."""


class Inputs(Protocol):
    """Of one step; `clips` (B,) are indices into the material."""

    @property
    def clips(self) -> NDArray[np.int64]: ...

    @property
    def whole(self) -> int:
        """Clips of the micro-batch in all processes."""
        ...


class Phase(Protocol):
    """A part of a run with an optimiser of its own."""

    name: str
    epochs: int
    groups: list[dict[str, Any]]
    """Parameter groups with a `base` learning rate each."""
    accumulate: int
    """Micro-batches a step."""
    batches: int
    """Steps an epoch."""
    processes: Processes
    """That share each batch."""

    def inputs(self, epoch: int, first: int) -> Iterator[Any]:
        """`Inputs` of the micro-batches of an epoch from number `first` on."""
        ...

    def forward(self, inputs: Any) -> Outcome: ...

    def validate(self) -> NDArray[np.float32]:
        """Predictions for the validation clips, as the service would score them."""
        ...


@dataclass(frozen=True, slots=True)
class Trainee:
    run: RunSpec
    material: Material
    network: FragmentNetwork
    auxiliary: AuxiliaryHeads | None
    device: Device
    processes: Processes = ALONE

    def wanted(
        self, clips: NDArray[np.int64], starts: NDArray[np.int64], shown: NDArray[np.bool_]
    ) -> Tensor:
        """What to predict for these clips, (B,) points.

        `starts` (B,) are frames at which the fragments begin, `shown` is (B, K).
        """
        if self.run.teach == "judged":
            points = self.material.judged[clips]
        else:
            each = zip(clips, starts, shown, strict=True)
            at = self.material.known.at
            points = np.array([at(int(c), int(start), s) for c, start, s in each], np.float32)
        return torch.from_numpy(points).to(self.device.kind)

    def pairs(self, predicted: Tensor, wanted: Tensor, clips: NDArray[np.int64]) -> Tensor:
        """The loss on differences within pairs, weighted; (B,), (B,), (B,) -> ()."""
        if not self.run.pairs:
            return predicted.new_zeros(())
        return self.run.pairs * difference_loss(predicted, wanted, clips, self.material.leader)

    def auxiliary_loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Of the throw-away heads, weighted, points²; (B·K, J), (B·K, J) -> ()."""
        if not len(predicted):
            return predicted.new_zeros(())
        loss = masked_loss(predicted, targets, self.material.targets.groups)
        return self.run.auxiliary * 0.5 * self.material.deviation**2 * loss

    def features(self, batch: Batch, *, frozen: bool) -> Tensor:
        """(B, K, D, T', H', W')"""
        return features_by_fragment(
            self.network,
            batch.fragments.to(self.device.kind),
            batch.shown.to(self.device.kind),
            self.device,
            frozen=frozen,
            checkpointing=self.run.checkpointing,
        )

    def score(self, features: Tensor) -> Tensor:
        """(B, K, D, T', H', W') -> (B,) points"""
        predicted: Tensor = self.network.head(join(features))
        return predicted

    def batches(self, clips: NDArray[np.int64], count: int, **options: Any) -> Batches:
        return Batches(
            cache=self.material.cache,
            spec=self.material.spec,
            clips=clips,
            count=count,
            leader=self.material.leader,
            **options,
        )

    def steps(self, clips: int) -> int:
        """Steps an epoch, of about `clips` clips over all processes.   Raises RunError."""
        there = len(self.material.training)
        least = LEAST_CLIPS * self.processes.count * self.run.accumulate
        if there < least:
            raise RunError(
                f"{there} training clips, need {least} for a step of {self.processes.count}"
                f" processes and {self.run.accumulate} micro-batches"
            )
        return min(full(there, clips), there // least)
