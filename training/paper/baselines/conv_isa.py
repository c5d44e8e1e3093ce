"""
ConvISA: the score from how often a clip shows each kind of small motion.   [Le11] [Pirsiavash14]

The kinds are learned from pixels, not from scores. Two layers of independent subspace analysis see
grey pixels: the first sees patches, the second sees how the first responds to the patches of a
block. A block's descriptor has the responses of the second layer, and as many of its whitened
inputs. Blocks to which the first layer responds least are left out. Each other block counts for the
nearest of the centres that k-means found, and a linear support vector regression turns the shares
of the centres into points.

The sizes, groups of 1 and of 2 filters among them, descriptors and activations are those of the
program that the authors of [Le11] published; its notes say that the paper's figures had groups of 4
in layer 2. Departures: responses are not clipped at 1; a block counts 1, where it counted its
activation; blocks are left out by rank, for which no threshold has to be chosen; the regression is
linear, as in [Pirsiavash14], where [Le11] has a χ² kernel; there are 500 centres, found from one
start, where [Le11] has 3000, which need more clips.

Shapes: N clips to learn from, M others, T frames, H W pixels, B blocks, P patches of a block,
R responses of layer 1, V values of a descriptor, C centres.

[Le11] Q. V. Le, W. Y. Zou, S. Y. Yeung, A. Y. Ng. Learning hierarchical invariant spatio-temporal
features for action recognition with independent subspace analysis. CVPR 2011.
[Pirsiavash14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from training.errors import DataError
from training.paper.baselines import svr
from training.paper.baselines.conv_isa_spec import ConvIsaSpec
from training.paper.baselines.isa import Floats, Subspaces

Pixels = NDArray[np.uint8]
Phases = Callable[[str], Callable[[int, int], None]]
"""The name of a phase -> what is called with things done and things to do, as `Bar.progress`."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green, blue
APART = 4  # pixels and frames from one patch of a block to the next
AT_ONCE = 512  # blocks: 40 MB of patches


class Clips(Protocol):
    """(T, H, W, 3) each, blank frames before or after."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Pixels]: ...


@dataclass(frozen=True, slots=True)
class Layers:
    """Both layers, learned from blocks, for others like them."""

    spec: ConvIsaSpec
    first: Subspaces
    second: Subspaces

    @classmethod
    def learn(cls, blocks: Pixels, spec: ConvIsaSpec, *, seed: int) -> "Layers":
        """From (B, t, h, w).   Raises DataError where they differ too little."""
        frames, pixels = spec.patch_frames, spec.patch_pixels
        corner = blocks[:, :frames, :pixels, :pixels].reshape(len(blocks), -1)
        first = Subspaces.learn(
            corner.astype(np.float32),
            components=spec.patch_components,
            group=spec.patch_group,
            steps=spec.isa_steps,
            seed=seed,
        )
        second = Subspaces.learn(
            np.concatenate([_first_responses(first, part, spec) for part in _parts(blocks)]),
            components=spec.block_components,
            group=spec.block_group,
            steps=spec.isa_steps,
            seed=seed + 1,
        )
        return cls(spec, first, second)

    def describe(self, blocks: Pixels) -> tuple[Floats, Floats]:
        """(B, t, h, w) -> descriptors (B, V), and activations (B,)"""
        described, activations = [], []
        for part in _parts(blocks):
            responses = _first_responses(self.first, part, self.spec)  # (B, P R)
            white = self.second.whitened(responses)
            pooled = self.second.responses(white)  # (B, V / 2)
            described.append(np.hstack([pooled, white[:, : pooled.shape[1]]]))
            activations.append(responses.mean(axis=1))
        return np.concatenate(described), np.concatenate(activations)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which blocks of a clip count, and as what."""

    layers: Layers
    least: float
    """Activation of a block that counts."""
    centres: MiniBatchKMeans

    @classmethod
    def learn(cls, clips: Clips, spec: ConvIsaSpec, *, seed: int, progress: Phases) -> "Vocabulary":
        """Raises DataError where a clip is smaller than a block, or all differ too little."""
        random = np.random.default_rng(seed)
        each = -(-spec.samples // len(clips))
        sampled = []
        for done, clip in enumerate(clips, 1):
            windows = windows_of(grey(clip), spec)
            starts = random.integers(0, windows.shape[:3], (each, 3))
            sampled.append(windows[tuple(starts.T)])
            progress("blocks")(done, len(clips))
        blocks = np.concatenate(sampled)
        progress("layers")(0, 1)
        layers = Layers.learn(blocks, spec, seed=seed)
        described, activations = layers.describe(blocks)
        least = float(np.quantile(activations, spec.drop))
        described = described[activations >= least]
        centres = MiniBatchKMeans(
            min(spec.words, len(described)), batch_size=4096, n_init=1, random_state=seed
        )
        return cls(layers, least, centres.fit(described))

    def shares(self, clip: Pixels) -> NDArray[np.float64]:
        """(T, H, W, 3) -> (C,): of the clip's blocks that count; 0 where none does."""
        spec = self.layers.spec
        windows = windows_of(grey(clip), spec)
        apart = windows[:: spec.stride_frames, :: spec.stride_pixels, :: spec.stride_pixels]
        counts = np.zeros(len(self.centres.cluster_centers_))
        for rows in apart:  # of one time, so that a long clip needs no more memory
            described, activations = self.layers.describe(rows.reshape(-1, *rows.shape[2:]))
            counting = described[activations >= self.least]
            if len(counting):
                nearest = self.centres.predict(counting)
                counts += np.bincount(nearest, minlength=len(counts))
        counts /= max(counts.sum(), 1)
        return counts


def regress(
    known: Clips,
    judged: NDArray[np.floating],
    unknown: Clips,
    spec: ConvIsaSpec,
    *,
    seed: int,
    progress: Phases,
) -> NDArray[np.float64]:
    """N clips and their scores, M others -> (M,) points.   Raises DataError."""
    vocabulary = Vocabulary.learn(known, spec, seed=seed, progress=progress)
    shares = []
    for clip in itertools.chain(known, unknown):
        shares.append(vocabulary.shares(clip))
        progress("shares")(len(shares), len(known) + len(unknown))
    values = np.stack(shares)
    return svr.regress(values[: len(known)], judged, values[len(known) :], seed=seed)


def grey(clip: Pixels) -> Pixels:
    """(T, H, W, 3) -> (T', H, W), without the blank frames at both ends."""
    shown = np.flatnonzero(clip.any(axis=(1, 2, 3)))
    frames = clip[shown[0] : shown[-1] + 1] if len(shown) else clip[:0]
    levels: Pixels = np.rint(frames @ LUMA).astype(np.uint8)
    return levels


def windows_of(clip: Pixels, spec: ConvIsaSpec) -> Pixels:
    """(T', H, W) -> (T' - t + 1, H - h + 1, W - w + 1, t, h, w): a view of every block."""
    size = (spec.block_frames, spec.block_pixels, spec.block_pixels)
    if any(have < need for have, need in zip(clip.shape, size, strict=True)):
        found, needed = ("x".join(map(str, each)) for each in (clip.shape, size))
        raise DataError(f"{found} frames and pixels are shown, need at least {needed}")
    view: Pixels = sliding_window_view(clip, size)
    return view


def patches_of(blocks: Pixels, spec: ConvIsaSpec) -> Floats:
    """(B, t, h, w) -> (B, P, D)"""
    size = (spec.patch_frames, spec.patch_pixels, spec.patch_pixels)
    view = sliding_window_view(blocks, size, axis=(1, 2, 3))[:, ::APART, ::APART, ::APART]
    patches: Floats = view.reshape(len(blocks), -1, math.prod(size)).astype(np.float32)
    return patches


def _first_responses(first: Subspaces, blocks: Pixels, spec: ConvIsaSpec) -> Floats:
    """(B, t, h, w) -> (B, P R)"""
    patches = patches_of(blocks, spec)
    responses = first.responses(first.whitened(patches.reshape(-1, patches.shape[2])))
    return responses.reshape(len(blocks), -1)


def _parts(blocks: Pixels) -> Iterator[Pixels]:
    for begin in range(0, len(blocks), AT_ONCE):
        yield blocks[begin : begin + AT_ONCE]
