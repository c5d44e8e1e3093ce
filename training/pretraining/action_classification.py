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

from model_store.card import ClipsCard
from model_store.spec import ClipSpec
from training.data.augment import Augmentation
from training.data.cache import ClipCache, open_cache
from training.data.clip_dataset import CACHE
from training.data.clip_list import ClipRecord
from training.data.datasets.drawn_split import place_of
from training.data.datasets.hashes import source_hash
from training.data.datasets.ucf101 import ClassifiedClip, read_ucf101
from training.data.split import Indices, name_units
from training.errors import DataError
from training.pretraining.pretext_tasks import FragmentBatch, random_fragments, shown_fragments

FRAMES = 64  # kept of a clip, its last ones: half of what most have, and a quarter of the disk


def class_clip(spec: ClipSpec) -> ClipSpec:
    """The clip of an action, at a length for UCF-101; its fragments stay as they are."""
    frames = max(FRAMES, spec.fragment_length)
    return dataclasses.replace(
        spec, frames=frames, fragments=frames // spec.fragment_length, start=0
    )


@dataclass(frozen=True, slots=True)
class ActionClassification:
    """Softmax and cross entropy over the classes; the figures are shares of fragments."""

    outputs: int
    """J"""
    labels: NDArray[np.int64]
    """(N,) 0…J − 1"""
    cache: ClipCache
    """Of the same N clips."""
    spec: ClipSpec
    hashes: Sequence[str]
    """(N,) SHA-256 of the clips' bytes."""
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
        on_clips: Callable[[Sequence[ClipRecord]], None] | None = None,
        cache: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ActionClassification":
        """Read the training list and decode what is not cached.   Raises DataError.

        `on_clips` gets the clips before the first one is decoded.
        """
        data = read_ucf101(folder, "train")
        hashes = [source_hash(clip.path) for clip in data.clips]
        held = held_clips(data.clips, hashes, validation)
        if on_clips is not None:
            validates = set(held.tolist())
            on_clips(
                [
                    ClipRecord.of(
                        clip.path,
                        sha,
                        str(clip.label),
                        side="validation" if n in validates else "training",
                        group=clip.group,
                    )
                    for n, (clip, sha) in enumerate(zip(data.clips, hashes, strict=True))
                ]
            )
        return cls(
            outputs=len(data.classes),
            labels=np.array([clip.label for clip in data.clips]),
            cache=open_cache(
                [clip.path for clip in data.clips],
                spec,
                cache or folder / CACHE,
                progress=progress,
            ),
            spec=spec,
            hashes=hashes,
            training=np.setdiff1d(np.arange(len(data.clips)), held),
            validation=held,
        )

    @property
    def seen(self) -> ClipsCard:
        return ClipsCard.of(
            training=[self.hashes[n] for n in self.training],
            validation=[self.hashes[n] for n in self.validation],
        )

    def batch(
        self, clips: NDArray[np.int64], random: np.random.Generator, augmentation: Augmentation
    ) -> FragmentBatch:
        drawn = list(random_fragments(self.cache, self.spec, clips, random, augmentation))
        fragments = shown_fragments(self.cache, None, self.spec, clips, drawn)
        return FragmentBatch(fragments, torch.from_numpy(self.labels[clips]))

    def loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(predicted, targets)

    def figures(self, predicted: Tensor, targets: Tensor) -> dict[str, float]:
        correct = (predicted.argmax(dim=1) == targets).float().mean()
        return {"accuracy": float(correct), "chance": 1 / self.outputs}


def held_clips(clips: Sequence[ClassifiedClip], hashes: Sequence[str], share: float) -> Indices:
    """Those of about this share of each class's groups, at least one; by the group's name alone.

    Raises DataError for a class that has nothing left to learn from.
    """
    unit_names = name_units([clip.group for clip in clips], hashes)
    held: set[str] = set()
    for label in sorted({clip.label for clip in clips}):
        of_class = {
            unit for unit, clip in zip(unit_names, clips, strict=True) if clip.label == label
        }
        if len(of_class) < 2:
            raise DataError(f"class {label} has {len(of_class)} groups of clips, need at least 2")
        first, *others = sorted(of_class, key=place_of)
        held |= {first} | {unit for unit in others[:-1] if place_of(unit) < share}
    return np.flatnonzero([unit in held for unit in unit_names])
