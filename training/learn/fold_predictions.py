"""
What a network makes of all the clips of a run: its predictions, and the features behind them.

Shapes: N clips, O outputs, P pooled features (`model_store.confidence.pool`).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.confidence import pool
from training.data.batches import Variation, full
from training.display import Bar
from training.learn.forward import evaluating
from training.learn.frozen_features import BATCH
from training.learn.learner import Learner

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FoldPredictions:
    predicted: Floats
    """(N, O), each output in its unit."""
    pooled: Floats
    """(N, P)"""


def predict_all_clips(
    learner: Learner, bar: Bar, features: Tensor | None = None
) -> FoldPredictions:
    """Every clip as the service would see it.

    `features` (views, N, K, D, T', H', W') are given where the extractors have not changed since.
    """
    predicted, pooled = [], []
    with evaluating(learner.network):
        for some in features_of(learner, bar) if features is None else seen(features):
            there = some.to(learner.device.kind)
            predicted.append(learner.score(there).cpu().numpy())
            pooled.append(pool(some.cpu().numpy()))
    views = len(learner.views)
    return FoldPredictions(*(mean(np.concatenate(each), views) for each in (predicted, pooled)))


def features_of(learner: Learner, bar: Bar) -> Iterator[Tensor]:
    """Of all clips, batch by batch, view by view."""
    clips = np.arange(len(learner.dataset.clips))
    count = full(len(clips), BATCH)
    for number, view in enumerate(learner.views):
        batches = learner.batches(clips, count, variation=Variation.of(view))
        for done, batch in enumerate(batches, 1):
            yield learner.features(batch, frozen=True)
            bar.update(number * count + done, len(learner.views) * count, phase="predicting")


def seen(features: Tensor) -> Iterator[Tensor]:
    """The same from what is there: (views, N, …) -> (B, …) one after the other."""
    return itertools.chain.from_iterable(torch.split(view, BATCH) for view in features)


def mean(values: Floats, views: int) -> Floats:
    """(views · N, …) -> (N, …)"""
    result: Floats = values.reshape(views, -1, *values.shape[1:]).mean(axis=0)
    return result
