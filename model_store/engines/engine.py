"""
What every engine does around its runtime: it checks the clips, runs them in every view, averages
over the views, and computes contributions from the averaged scores of the coalitions.

Shapes: B clips, V views of each, T frames, K fragments that the network uses, M coalitions,
features D T' H' W', O outputs.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_store.clip import blank_fragments
from model_store.contributions import Coalitions, Contributions
from model_store.errors import EngineError
from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec

Clips = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EngineOutput:
    features: Floats
    """(B, K, D, T', H', W'), the mean over views."""
    contributions: tuple[Contributions, ...]
    """Of each output, in order."""
    blank: NDArray[np.bool_]
    """(B, K): fragments that are black in every view."""


class Runtime(Protocol):
    """The network on one library and device. Clips are (B, T, H, W, 3) uint8, contiguous."""

    name: str
    tolerance: float
    """How far a score may be from the float32 reference, points."""
    baseline: Floats
    """(O,): what the reference gives the empty coalition, points."""

    def batch_sizes(self, most: int) -> list[int]:
        """What to warm up besides the single clip of `Engine.check`, for batches up to `most`."""
        ...

    def values(self, clips: Clips) -> tuple[Floats, Floats]:
        """Features (B, K, D, T', H', W') and the scores of all coalitions (B, M, O)."""
        ...


class Engine:
    """Runs one network. Made by `make_engine`."""

    def __init__(self, network: NetworkSpec, clip: ClipSpec, runtime: Runtime) -> None:
        self.runtime = runtime
        self.spec = clip
        self.views = clip.views(network.views)
        self.used = network.used(clip)
        self.coalitions = Coalitions.of(len(self.used))
        self.baseline = runtime.baseline
        self.fell_back = False
        """Whether a faster engine should have run the network, and failed."""

    @property
    def name(self) -> str:
        return self.runtime.name

    def score(self, clips: Clips) -> EngineOutput:
        """Scores and contributions of prepared clips (B, T, H, W, 3) uint8. Raises EngineError."""
        clips = self._checked(clips)
        try:
            features, values = map(self._mean, self.runtime.values(self._in_every_view(clips)))
        except RuntimeError as error:
            raise EngineError(f"{self.name} failed on {len(clips)} clips: {error}") from error
        by_view = [blank_fragments(clips, self.spec, view.start) for view in self.views]
        blank = np.asarray(np.all(by_view, axis=0), np.bool_)
        answers = (
            Contributions.of(
                values[:, :, output],
                self.coalitions,
                baseline=float(baseline),
                blank=blank,
                used=self.used,
            )
            for output, baseline in enumerate(self.baseline)
        )
        return EngineOutput(features, tuple(answers), blank)

    def check(self) -> None:
        """Score a blank clip, for which all answers are the baseline, as any clip is scored.

        Raises EngineError.
        """
        blank = np.zeros((1, self.spec.frames, self.spec.height, self.spec.width, 3), np.uint8)
        try:
            _, values = self.runtime.values(self._in_every_view(blank))
        except RuntimeError as error:
            raise EngineError(f"{self.name} failed: {error}") from error
        off = np.abs(values - self.baseline).max()
        if not off <= self.runtime.tolerance:
            raise EngineError(
                f"{self.name} is off by {off:.4f} points on a blank clip,"
                f" allowed are {self.runtime.tolerance}"
            )

    def _in_every_view(self, clips: Clips) -> Clips:
        """(B, T, H, W, 3) -> (B·V, T, H, W, 3)"""
        if len(self.views) == 1:
            return clips
        mirrored = clips.view("V3")[:, :, :, ::-1].copy().view(np.uint8)  # copied by the pixel
        # The frames of a view's fragments go where the spec's are; what wraps round is in none.
        views = [
            np.roll(mirrored if view.mirrored else clips, self.spec.start - view.start, axis=1)
            for view in self.views
        ]
        return np.stack(views, axis=1).reshape(-1, *clips.shape[1:])

    def _mean(self, values: Floats) -> Floats:
        """(B·V, …) -> (B, …)"""
        mean: Floats = values.reshape(-1, len(self.views), *values.shape[1:]).mean(axis=1)
        return mean

    def _checked(self, clips: Clips) -> Clips:
        frames, height, width = self.spec.frames, self.spec.height, self.spec.width
        if clips.shape[1:] != (frames, height, width, 3) or not len(clips):
            raise EngineError(f"clips are {clips.shape}, need (B, {frames}, {height}, {width}, 3)")
        if clips.dtype != np.uint8:
            raise EngineError(f"clips are {clips.dtype}, need uint8")
        return np.ascontiguousarray(clips)
