"""
From cached clips to the batches of a training step.

The rule: every random choice is a function of (seed, epoch, clip), so a run that is resumed draws
exactly what the uninterrupted one would have drawn.

Shapes: B clips, K fragments, L frames a fragment, H W pixels.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.clip import blank_fragments, cut, prepare
from model_store.spec import ClipSpec, View
from training.data.augment import Augmentation, Look
from training.data.cache import ClipCache
from training.data.pairs import divided, shuffled
from training.data.resident_clips import ResidentClips
from training.distributed import ALONE, Processes
from training.prefetch import prefetched

LEAST_STEPS, LEAST_BATCH = 8, 8  # an epoch; clips

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The random choices for one clip."""

    start: int
    """Frame of the prepared clip at which the fragments begin."""
    look: Look | None
    hidden: tuple[int, ...]
    """Fragments that are blanked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """What may differ from epoch to epoch; `of` a view alone is the service path."""

    shift: bool
    """Start shift, 0…spec.max_start.   [Li18 §4.2]"""
    blanking: float
    """Probability that some fragments of a clip are blanked; how many is uniform in 1…K."""
    augmentation: Augmentation
    start: int | None = None
    """Where fragments begin without a shift; None is where the spec has it."""

    @classmethod
    def of(cls, view: View, *, low_frame_rate: float = 0.0) -> "Variation":
        """A view that the service takes of every clip, or of copies at lower frame rates."""
        look = Augmentation(flip=float(view.mirrored), low_frame_rate=low_frame_rate)
        return cls(shift=False, blanking=0.0, augmentation=look, start=view.start)

    def draw(self, spec: ClipSpec, seed: int, stream: tuple[int, ...], clip: int) -> Draw:
        """For one clip; `stream` separates the draws of one epoch from those of another."""
        random = np.random.default_rng([seed, *stream, clip])
        start = spec.start if self.start is None else self.start
        if self.shift:
            start = int(random.integers(spec.max_start + 1))
        look = self.augmentation.draw(random, spec.frames, spec.crop)
        hidden: tuple[int, ...] = ()
        if random.random() < self.blanking:
            count = int(random.integers(1, spec.fragments + 1))
            hidden = tuple(map(int, random.permutation(spec.fragments)[:count]))
        return Draw(start=start, look=look, hidden=hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    clips: NDArray[np.int64]
    """(B,) indices into the cache."""
    draws: tuple[Draw, ...]
    fragments: Tensor
    """(B, K, L, H, W, 3) uint8, on the CPU or where the clips are resident"""
    shown: Tensor
    """(B, K) bool, on the CPU: neither hidden nor blank by itself."""
    whole: int
    """Clips of the batch in all processes."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """(B,) frames of the prepared clips at which the fragments begin."""
        return np.array([draw.start for draw in self.draws])


def make_batch(
    cache: ClipCache,
    spec: ClipSpec,
    clips: NDArray[np.int64],
    draws: Sequence[Draw],
    *,
    whole: int | None = None,
    resident: ResidentClips | None = None,
) -> Batch:
    """The clips as drawn. What is hidden keeps its pixels; `shown` is False there.

    The batch has `whole` clips over all processes, if it is shared. Clips that are `resident` on
    a GPU are made into a batch there.
    """
    if resident is None:
        fragments, shown = _cut(cache, spec, clips, draws)
    else:
        starts, looks = np.array([draw.start for draw in draws]), [draw.look for draw in draws]
        fragments, shown = resident.fragments(spec, clips, starts, looks)
    for row, draw in enumerate(draws):
        shown[row, list(draw.hidden)] = False
    return Batch(
        clips=clips,
        draws=tuple(draws),
        fragments=fragments,
        shown=shown,
        whole=len(clips) if whole is None else whole,
    )


def _cut(
    cache: ClipCache, spec: ClipSpec, clips: NDArray[np.int64], draws: Sequence[Draw]
) -> tuple[Tensor, Tensor]:
    """-> (B, K, L, H, W, 3) uint8, and (B, K) bool: not blank by themselves."""
    shape = (len(clips), spec.fragments, spec.fragment_length, *spec.crop, 3)
    fragments = np.empty(shape, np.uint8)
    shown = np.empty(shape[:2], np.bool_)
    for row, (clip, draw) in enumerate(zip(clips, draws, strict=True)):
        frames = cache.decoded(int(clip))
        if draw.look is not None:
            frames = draw.look.apply(frames)
        prepared = prepare(frames, spec)[None]  # (1, T, H, W, 3)
        fragments[row] = cut(prepared, spec, draw.start)[0]
        shown[row] = ~blank_fragments(prepared, spec, draw.start)[0]
    return torch.from_numpy(fragments), torch.from_numpy(shown)


def fitting(size: int, clips: int) -> int:
    """A batch of at most `size` of so many clips that leaves an epoch enough steps."""
    return min(size, max(LEAST_BATCH, clips // LEAST_STEPS))


def full(clips: int, size: int) -> int:
    """Batches of at most `size` that so many clips need."""
    return -(-clips // size)


def batch_sizes(clips: int, count: int) -> tuple[int, int]:
    """Of so many clips in `count` batches without pairs: the smaller size and the larger."""
    return clips // count, full(clips, count)


def grouped(micro_batches: Iterator[T], size: int) -> Iterator[list[T]]:
    """Those of one step after another; an epoch has whole steps."""
    while len(group := list(itertools.islice(micro_batches, size))) == size:
        yield group


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The batches of one epoch in order, the next one made while this one is used.

    Every clip is in one of them.
    """

    cache: ClipCache
    spec: ClipSpec
    clips: NDArray[np.int64]
    count: int
    """Batches, of equal size give or take a clip or a ladder."""
    leader: NDArray[np.int64]
    """(N,) clip whose draws a clip shares, see `pairs.leaders`."""
    variation: Variation
    seed: int = 0
    epoch: int | None = None
    """None keeps the order of `clips`."""
    variant: int = 0
    """Another set of draws for the same epoch."""
    processes: Processes = ALONE
    """Each takes its share of every batch of an epoch."""
    resident: ResidentClips | None = None
    """The clips of the cache on a GPU."""

    def __len__(self) -> int:
        return self.count

    def order(self) -> NDArray[np.int64]:
        if self.epoch is None:
            return self.clips
        random = np.random.default_rng([self.seed, self.epoch])
        return shuffled(random, self.clips, self.leader)

    def batch(self, number: int) -> Batch:
        if self.epoch is None:
            whole = clips = np.array_split(self.clips, self.count)[number]
        else:
            whole = divided(self.order(), self.count, self.leader)[number]
            clips = self.processes.share(whole)
        stream = (self.epoch or 0, self.variant)
        leaders = self.leader[clips]
        draws = [self.variation.draw(self.spec, self.seed, stream, int(clip)) for clip in leaders]
        return make_batch(
            self.cache, self.spec, clips, draws, whole=len(whole), resident=self.resident
        )

    def begin_at(self, number: int) -> Iterator[Batch]:
        """From batch `number` on."""
        return prefetched(self.batch, range(number, len(self)))

    def __iter__(self) -> Iterator[Batch]:
        return self.begin_at(0)
