"""
Which kind of action a fragment is from: the pre-training of [Li18] §4.2, on UCF-101.

Only the official training list is opened. Whole groups of clips are kept for validation, since
those of one group are cut from the same video.

Shapes: B fragments, J classes.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model_store.spec import ClipSpec
from training.augment import Augmentation
from training.cache import ClipCache, open_cache
from training.datasets.ucf101 import ClassifiedClip, read_ucf101
from training.errors import DataError
from training.lessons import FragmentBatch, random_fragments
from training.material import CACHE

FRAMES = 64  # kept of a clip, its last ones: half of what most have, and a quarter of the disk


def class_clip(spec: ClipSpec) -> ClipSpec:
    """The clip of an action, at a length for UCF-101; its fragments stay as they are."""
    frames = max(FRAMES, spec.fragment_length)
    return dataclasses.replace(
        spec, frames=frames, fragments=frames // spec.fragment_length, start=0
    )


@dataclass(frozen=True, slots=True)
class ClassLesson:
    """Softmax and cross entropy over the classes; the figures are shares of fragments."""

    classes: int
    labels: NDArray[np.int64]
    """(N,) 0…classes − 1"""
    cache: ClipCache
    """Of the same N clips."""
    spec: ClipSpec
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    measure: str = "of classification:"

    @classmethod
    def open(
        cls,
        folder: Path,
        spec: ClipSpec,
        *,
        validation: float,
        seed: int,
        cache: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ClassLesson":
        """Read the training list and decode what is not cached.   Raises DataError."""
        data = read_ucf101(folder, "train")
        held = held_groups(data.clips, validation, seed)
        is_held = np.array([clip.group in held for clip in data.clips])
        return cls(
            classes=len(data.classes),
            labels=np.array([clip.label for clip in data.clips]),
            cache=open_cache(
                [clip.path for clip in data.clips],
                spec,
                cache or folder / CACHE,
                progress=progress,
            ),
            spec=spec,
            training=np.flatnonzero(~is_held),
            validation=np.flatnonzero(is_held),
        )

    @property
    def outputs(self) -> int:
        return self.classes

    def batch(
        self, clips: NDArray[np.int64], random: np.random.Generator, augmentation: Augmentation
    ) -> FragmentBatch:
        shown = random_fragments(self.cache, self.spec, clips, random, augmentation)
        fragments = np.stack([fragment for fragment, _, _ in shown])
        return FragmentBatch(torch.from_numpy(fragments), torch.from_numpy(self.labels[clips]))

    def loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(predicted, targets)

    def figures(self, predicted: Tensor, targets: Tensor) -> dict[str, float]:
        correct = (predicted.argmax(dim=1) == targets).float().mean()
        return {"accuracy": float(correct), "chance": 1 / self.classes}


def held_groups(clips: Sequence[ClassifiedClip], share: float, seed: int) -> set[str]:
    """About this share of each class's groups, at least one."""
    random = np.random.default_rng([seed, len(clips)])
    held: set[str] = set()
    for label in sorted({clip.label for clip in clips}):
        groups = sorted({clip.group for clip in clips if clip.label == label})
        count = max(1, round(share * len(groups)))
        if count == len(groups):
            raise DataError(f"class {label} has {len(groups)} groups of clips, need at least 2")
        held.update(random.choice(groups, count, replace=False).tolist())
    return held
