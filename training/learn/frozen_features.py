"""
Features of every clip by extractors that are not trained, computed once.

Clips are kept in V variants. First come the views of the service. With several views and
`low_frame_rate` they follow again, in turn, as copies at lower frame rates show them. Otherwise
there follow clips with the run's start shifts and looks, and before these, where there is only one
view and looks are to vary, the mirrored clips.

Blanking costs nothing afterwards: the features of black frames take a fragment's place. Of several
processes each computes the features of all clips.

Shapes: V variants, N clips, K fragments used, (D, T', H', W') a fragment's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.augment import Augmentation
from training.data.batches import Variation, full
from training.display import Bar
from training.learn.forward import blank_features, evaluating
from training.learn.learner import Learner

BATCH = 32  # clips


@dataclass(frozen=True, slots=True)
class FrozenFeatures:
    features: Tensor
    """(V, N, K, D, T', H', W') on the CPU."""
    views: int
    """Of the variants, the first ones, that the service looks at."""
    starts: NDArray[np.int64]
    """(V, N) frames at which the fragments begin."""
    shown: NDArray[np.bool_]
    """(V, N, K of the clip): fragments that are not blank by themselves."""
    blank: Tensor
    """(K, D, T', H', W'): what black frames give."""

    @property
    def served(self) -> Tensor:
        """(views, N, K, D, T', H', W')"""
        return self.features[: self.views]


def compute_features(learner: Learner, variants: int, bar: Bar) -> FrozenFeatures:
    """Of all the dataset's clips, in `variants` or as many as there are views."""
    variants = max(variants, len(learner.views))
    clips = np.arange(len(learner.dataset.clips))
    features: list[Tensor] = []
    starts, shown = [], []
    with evaluating(learner.network):
        blank = blank_features(learner.network, learner.device).cpu()
        for number, variation in enumerate(_variations(learner, variants)):
            batches = learner.batches(
                clips,
                full(len(clips), BATCH),
                variation=variation,
                seed=learner.run.seed,
                variant=number,
            )
            for done, batch in enumerate(batches, 1):
                features.append(learner.features(batch, frozen=True).cpu())
                starts.append(batch.starts)
                shown.append(batch.shown.numpy())
                bar.update(done, len(batches), phase=f"features {number + 1}/{variants}")
    each = (variants, len(clips))
    whole = torch.cat(features)
    return FrozenFeatures(
        whole.reshape(*each, *whole.shape[1:]),
        len(learner.views),
        np.concatenate(starts).reshape(each),
        np.concatenate(shown).reshape(*each, -1),
        blank,
    )


def _variations(learner: Learner, variants: int) -> Iterator[Variation]:
    run, views = learner.run, learner.views
    yield from map(Variation.of, views)
    for number in range(len(views), variants):
        if run.low_frame_rate and len(views) > 1:
            view = views[number % len(views)]
            yield Variation.of(view, low_frame_rate=run.low_frame_rate)
        elif number == 1 and run.flip:
            yield Variation(shift=False, blanking=0.0, augmentation=Augmentation(flip=1.0))
        else:
            yield Variation(shift=run.shift, blanking=0.0, augmentation=run.augmentation)
