"""
What a run trains, with what and on what; and what a phase of training must offer.

Shapes: B clips, K fragments used, (D, T', H', W') a fragment's features, O outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.network import FragmentNetwork
from model_store.spec import View
from training.data.batches import Batch, Batches
from training.data.clip_dataset import ClipDataset
from training.data.pairs import difference_loss
from training.data.split import Indices
from training.distributed import ALONE, Processes
from training.learn.auxiliary import AuxiliaryHeads, masked_loss
from training.learn.forward import Device, evaluating, features_by_fragment, join
from training.learn.run_spec import RunSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the losses of one step are made of, with one row for each clip or each fragment."""

    predicted: Tensor
    """(B, O), each output in its unit."""
    wanted: Tensor
    """(B,) points of the announced score."""
    auxiliary: Tensor
    """(B·K, J) of the throw-away heads; (0,) without them."""
    targets: Tensor
    """(B·K, J) for them, NaN where it is not known or not shown."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """For n clips, as the service would score them; each output in its unit."""

    whole: NDArray[np.float32]
    """(n, O)"""
    head: NDArray[np.float32]
    """(n, O) of the head's layers alone, without the linear path beside them."""


class Inputs(Protocol):
    """Of one step; `clips` (B,) are indices into the dataset."""

    @property
    def clips(self) -> Indices: ...

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

    def predict(self, clips: Indices) -> Predictions: ...


@dataclass(frozen=True, slots=True)
class Learner:
    run: RunSpec
    dataset: ClipDataset
    network: FragmentNetwork
    auxiliary: AuxiliaryHeads | None
    device: Device
    processes: Processes = ALONE

    def wanted(self, clips: Indices, starts: Indices, shown: NDArray[np.bool_]) -> Tensor:
        """Scores to announce for these clips, (B,) points.

        `starts` (B,) are frames at which the fragments begin, `shown` is (B, K).
        """
        if self.run.teach == "judged":
            points = self.dataset.judged[clips]
        else:
            each = zip(clips, starts, shown, strict=True)
            at = self.dataset.known.at
            points = np.array([at(int(c), int(start), s) for c, start, s in each], np.float32)
        return torch.from_numpy(points).to(self.device.kind)

    def announced(self, predicted: Tensor, clips: Indices) -> Tensor:
        """Outputs for these clips as scores, (B, O) -> (B, O) points."""
        announced = self.dataset.announced
        factor, addend = (
            torch.from_numpy(each[clips]).to(predicted.device)
            for each in (announced.factor, announced.addend)
        )
        return predicted * factor + addend

    def pairs(self, predicted: Tensor, wanted: Tensor, clips: Indices) -> Tensor:
        """The loss on differences within pairs, weighted; (B, O), (B,), (B,) -> ()."""
        if not self.run.pairs:
            return predicted.new_zeros(())
        leader = self.dataset.leader
        each = [difference_loss(one, wanted, clips, leader) for one in predicted.unbind(1)]
        return self.run.pairs * torch.stack(each).mean()

    def auxiliary_loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Of the throw-away heads, weighted, points²; (B·K, J), (B·K, J) -> ()."""
        if not len(predicted):
            return predicted.new_zeros(())
        loss = masked_loss(predicted, targets, self.dataset.targets.groups)
        return self.run.auxiliary * 0.5 * self.dataset.deviation**2 * loss

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
        """(B, K, D, T', H', W') -> (B, O), each output in its unit."""
        predicted: Tensor = self.network.head(join(features))
        return predicted

    @property
    def views(self) -> tuple[View, ...]:
        """That the service takes of every clip."""
        return self.dataset.spec.views(self.run.network.views)

    def predict(self, views: Iterable[Iterable[Tensor]]) -> Predictions:
        """From (B, K, D, T', H', W') of one batch after another, view by view."""
        whole, head = [], []
        with evaluating(self.network):
            for features in views:
                answers, lines = [], []
                for some in features:
                    there = some.to(self.device.kind)
                    answers.append(self.score(there).cpu())
                    lines.append(self.network.head.linear_path(join(there)).cpu())
                whole.append(torch.cat(answers))
                head.append(whole[-1] - torch.cat(lines))
        return Predictions(*(torch.stack(each).mean(dim=0).numpy() for each in (whole, head)))

    def batches(self, clips: Indices, count: int, **options: Any) -> Batches:
        return Batches(
            cache=self.dataset.cache,
            spec=self.dataset.spec,
            clips=clips,
            count=count,
            leader=self.dataset.leader,
            **options,
        )
