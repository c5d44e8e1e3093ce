"""
The network of a run with its options, clips and device; and what a phase of training must offer.

Shapes: B clips, K fragments used, (D, T', H', W') a fragment's features, O outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.confidence import pool
from model_store.network import FragmentNetwork
from model_store.spec import View
from training.data.batches import Batch, Batches
from training.data.clip_dataset import ClipDataset
from training.data.resident_clips import ResidentClips
from training.data.split import Indices
from training.distributed import ALONE, Processes
from training.learn.auxiliary import AuxiliaryHeads
from training.learn.forward import Device, evaluating, features_by_fragment, join
from training.learn.run_spec import RunSpec
from training.losses import difference_loss, masked_loss


@dataclass(frozen=True, slots=True)
class Predictions:
    """For n clips, as the service would score them; each output in its unit."""

    whole: NDArray[np.float32]
    """(n, O)"""
    head: NDArray[np.float32]
    """(n, O) of the head's layers alone, without the linear path beside them."""
    pooled: NDArray[np.float32]
    """(n, P) features, see `model_store.confidence.pool`."""


class Phase(Protocol):
    """A part of a run with an optimiser of its own."""

    name: str
    epochs: int
    steps: int
    """In an epoch."""
    accumulate: int
    """Micro-batches a step."""
    groups: list[dict[str, Any]]
    """Parameter groups with a `base` learning rate each: the extractors', if any, then others."""
    auxiliary: AuxiliaryHeads | None
    """Those that are trained with it."""
    processes: Processes
    """That share each batch."""

    def micro_batches(self, epoch: int, first: int) -> Iterator[Any]:
        """Each a `Batch` or a `FeatureBatch`, of an epoch from number `first` on."""
        ...

    def features(self, batch: Any) -> Tensor:
        """(B, K, D, T', H', W'), with the network in training mode."""
        ...

    def auxiliary_targets(self, batch: Any) -> Tensor:
        """(B·K, J), NaN where it is not known or not shown; (0,) without auxiliary heads."""
        ...

    def predict(self, clips: Indices) -> Predictions: ...


@dataclass(frozen=True, slots=True)
class Learner:
    run: RunSpec
    dataset: ClipDataset
    network: FragmentNetwork
    auxiliary: AuxiliaryHeads | None
    device: Device
    processes: Processes = ALONE
    resident: ResidentClips | None = None
    """The dataset's clips on a GPU, where they fit."""

    def target_scores(self, clips: Indices, starts: Indices, shown: NDArray[np.bool_]) -> Tensor:
        """What these clips are taught, (B, O) points of the announced score.

        `starts` (B,) are frames at which the fragments begin, `shown` is (B, K).
        """
        dataset = self.dataset
        if self.run.teach == "judged":
            points = np.repeat(dataset.judged[clips, None], len(dataset.announced.outputs), axis=1)
        else:
            each = zip(clips, starts, shown, strict=True)
            at = dataset.partial_scores.at
            values = np.stack([at(int(c), int(start), s) for c, start, s in each])
            points = dataset.announced.score(values, clips)
        return self.device.put(torch.from_numpy(points))

    def announced(self, predicted: Tensor, clips: Indices) -> Tensor:
        """Outputs for these clips as scores, (B, O) -> (B, O) points."""
        announced = self.dataset.announced
        factor, addend = (
            self.device.put(torch.from_numpy(each[clips]))
            for each in (announced.factor, announced.addend)
        )
        return predicted * factor + addend

    def pairs_loss(self, scores: Tensor, judged: Tensor, clips: Indices) -> Tensor:
        """The loss on differences within pairs, weighted, points²; (B, O), (B, O), (B,) -> ()."""
        dataset = self.dataset
        if not self.run.pairs:
            return scores.new_zeros(())
        loss = difference_loss(scores, judged, clips, dataset.leader, dataset.pair_costs)
        return self.run.pairs * dataset.deviation**2 * loss

    def auxiliary_loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Of the auxiliary heads, weighted, points²; (B·K, J), (B·K, J) -> ()."""
        if not len(predicted):
            return predicted.new_zeros(())
        loss = masked_loss(predicted, targets, self.dataset.targets.groups)
        return self.run.auxiliary * 0.5 * self.dataset.deviation**2 * loss

    def features(self, batch: Batch, *, frozen: bool) -> Tensor:
        """(B, K, D, T', H', W')"""
        return features_by_fragment(
            self.network,
            self.device.put(batch.fragments),
            batch.shown,
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
        by_view = []
        with evaluating(self.network):
            for batches in views:
                rows = []
                for features in batches:
                    there = features.to(self.device.kind)
                    whole = self.score(there).cpu()
                    line = self.network.head.linear_path(join(there)).cpu()
                    pooled = torch.from_numpy(pool(features.cpu().numpy()))
                    rows.append((whole, whole - line, pooled))
                by_view.append([torch.cat(column) for column in zip(*rows, strict=True)])
        columns = zip(*by_view, strict=True)
        return Predictions(*(torch.stack(column).mean(dim=0).numpy() for column in columns))

    def batches(self, clips: Indices, count: int, **options: Any) -> Batches:
        return Batches(
            cache=self.dataset.cache,
            spec=self.dataset.spec,
            clips=clips,
            count=count,
            leader=self.dataset.leader,
            resident=self.resident,
            **options,
        )
