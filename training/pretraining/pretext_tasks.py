"""
What one extractor can be taught before any score: fragments, what they show, and a loss.

`TrackRegression` teaches what a simulator knows of a fragment (`targets.py`);
`action_classification.py` teaches which kind of action it is from.

Shapes: B fragments, L frames a fragment, H W pixels, J outputs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.card import ClipsCard
from model_store.spec import ClipSpec
from training.data.augment import Augmentation, Look
from training.data.cache import ClipCache
from training.data.clip_dataset import ClipDataset
from training.data.resident_clips import ResidentClips
from training.data.targets import TargetScale
from training.losses import masked_loss

LEAST_KNOWN, LEAST_VARIANCE = 20, 1e-3  # of a target, for its R² to mean something


@dataclass(frozen=True, slots=True)
class FragmentBatch:
    fragments: Tensor
    """(B, L, H, W, 3) uint8, on the CPU or where the clips are resident"""
    targets: Tensor
    """(B, …): what the task's loss takes."""
    kept: Tensor | None = None
    """(B', L, H, W, 3) uint8, fragments of clips whose features are kept."""


class TrackRegression:
    """What `targets.py` knows of a fragment; the figures are R², the mean over a group."""

    measure = "R² of"
    """What `figures` are, before their names."""

    def __init__(self, dataset: ClipDataset, seed: int, device: str = "cpu") -> None:
        """Raises DataError when the clips have nothing to learn from."""
        self._dataset, self._targets = dataset, dataset.targets
        self._scale = TargetScale.measure(dataset.targets, dataset.training, seed).to(device)
        self._resident = ResidentClips.where_they_fit(dataset.cache, device)

    @property
    def outputs(self) -> int:
        return len(self._scale.mean)

    @property
    def training(self) -> NDArray[np.int64]:
        return self._dataset.training

    @property
    def validation(self) -> NDArray[np.int64]:
        return self._dataset.validation

    @property
    def seen(self) -> ClipsCard:
        return self._dataset.seen

    def batch(
        self, clips: NDArray[np.int64], random: np.random.Generator, augmentation: Augmentation
    ) -> FragmentBatch:
        spec, targets = self._dataset.spec, self._targets
        cache = self._dataset.cache
        drawn = list(random_fragments(cache, spec, clips, random, augmentation))
        known = [
            targets.at(int(clip), begin, look)
            for clip, (begin, look) in zip(clips, drawn, strict=True)
        ]
        fragments = shown_fragments(cache, self._resident, spec, clips, drawn)
        return FragmentBatch(fragments, torch.from_numpy(np.stack(known)))

    def loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        return masked_loss(predicted, self._scale(targets), self._targets.groups)

    def figures(self, predicted: Tensor, targets: Tensor) -> dict[str, float]:
        wanted = self._scale(targets)
        known = ~torch.isnan(wanted)
        count = known.sum(0)
        mean = wanted.nansum(0) / count.clamp_min(1)
        error = torch.where(known, (predicted - wanted).square(), 0).sum(0)
        spread = torch.where(known, (wanted - mean).square(), 0).sum(0)
        enough = (count >= LEAST_KNOWN) & (spread > LEAST_VARIANCE * count)
        share = torch.where(enough, 1 - error / spread.clamp_min(1e-6), torch.nan)
        return {name: float(share[group].nanmean()) for name, group in self._targets.groups.items()}


def random_fragments(
    cache: ClipCache,
    spec: ClipSpec,
    clips: NDArray[np.int64],
    random: np.random.Generator,
    augmentation: Augmentation,
) -> Iterator[tuple[int, Look | None]]:
    """For each clip the frame at which a fragment of it begins, and how that looks."""
    for clip in map(int, clips):
        begin = int(random.integers(len(cache.decoded(clip)) - spec.fragment_length + 1))
        yield begin, augmentation.draw(random, spec.fragment_length, spec.crop)


def shown_fragments(
    cache: ClipCache,
    resident: ResidentClips | None,
    spec: ClipSpec,
    clips: NDArray[np.int64],
    drawn: Sequence[tuple[int, Look | None]],
) -> Tensor:
    """What was drawn for each clip, (B, L, H, W, 3) uint8; clips that are resident stay there."""
    length = spec.fragment_length
    if resident is None:
        shown = [
            cache.decoded(int(clip))[begin : begin + length]
            for clip, (begin, _) in zip(clips, drawn, strict=True)
        ]
        looks = [look for _, look in drawn]
        return torch.from_numpy(
            np.stack(
                [f if look is None else look.apply(f) for f, look in zip(shown, looks, strict=True)]
            )
        )
    each = np.arange(length)
    at = [begin + (look.frames_shown(length) if look else each) for begin, look in drawn]
    return resident.look_at(clips, np.stack(at), [look for _, look in drawn])
