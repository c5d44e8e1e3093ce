"""
What a network makes of all the clips of a run: its predictions, and the features behind them.

Shapes: N clips, O outputs, P pooled features (`model_store.confidence.pool`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.confidence import pool
from training.batches import full
from training.display import Bar
from training.forward import evaluating
from training.frozen_features import BATCH
from training.trainee import Trainee

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Examined:
    predicted: Floats
    """(N, O), each output in its unit."""
    pooled: Floats
    """(N, P)"""


def examine(trainee: Trainee, bar: Bar, features: Tensor | None = None) -> Examined:
    """Every clip as the service would see it.

    `features` (N, K, D, T', H', W') are given where the extractors have not changed since.
    """
    clips = np.arange(len(trainee.material.clips))
    batches = trainee.batches(clips, full(len(clips), BATCH))
    predicted, pooled = [], []
    with evaluating(trainee.network):
        for number, some in enumerate(
            torch.split(features, BATCH)
            if features is not None
            else (trainee.features(batch, frozen=True) for batch in batches)
        ):
            there = some.to(trainee.device.kind)
            predicted.append(trainee.score(there).cpu().numpy())
            pooled.append(pool(some.cpu().numpy()))
            bar.update(number + 1, len(batches), phase="examining")
    return Examined(np.concatenate(predicted), np.concatenate(pooled))
