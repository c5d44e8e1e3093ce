"""
What every engine does around its runtime: it checks the clips, runs them in every view, averages
over the views, and computes contributions from the averaged scores of the coalitions.

A clip may be uploaded before it is scored: its blank fragments are then known, and its pixels are
where the network runs. Other threads may do that while a batch runs.

Shapes: B clips, V views of each, T frames, K fragments that the network uses, M coalitions,
features D T' H' W', O outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model_store.clip import blank_fragments
from model_store.contributions import Coalitions, Contributions
from model_store.errors import EngineError
from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec

Clips = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Look(NamedTuple):
    """How the pixels of a clip are arranged for one of its views."""

    shift: int
    """Frames that they move towards the end; what is pushed out comes in at the beginning."""
    mirrored: bool


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A clip that is ready to be scored by the engine that made this."""

    pixels: Any
    """What the runtime has made of it."""
    blank: NDArray[np.bool_]
    """(K,): fragments that are black in every view."""


@dataclass(frozen=True, slots=True)
class EngineOutput:
    features: Floats
    """(B, K, D, T', H', W'), the mean over views."""
    contributions: tuple[Contributions, ...]
    """Of each output, in order."""
    blank: NDArray[np.bool_]
    """(B, K): fragments that are black in every view."""


class Runtime(Protocol):
    """The network on one library and device. A clip is (T, H, W, 3) uint8, contiguous."""

    name: str
    tolerance: float
    """How far a score may be from the float32 reference, points."""
    baseline: Floats
    """(O,): what the reference gives the empty coalition, points."""
    uploads_ahead: bool
    """Whether a batch is done sooner if its clips were uploaded before."""

    def preparations(self, most: int) -> list[int]:
        """Sizes of batches to `prepare` for, in order, where up to `most` clips are run at once.

        Here and in `prepare` a clip counts once for each of its views.
        """
        ...

    def prepare(self, size: int) -> None:
        """Do now what the first batch of this size would have to wait for."""
        ...

    def upload(self, clip: Clips) -> Any:
        """A clip as `values` takes it. May be called on any thread, and while `values` runs."""
        ...

    def values(self, clips: Sequence[Any], looks: Sequence[Look]) -> tuple[Floats, Floats]:
        """Features (B·V, K, D, T', H', W') and the scores of all coalitions (B·V, M, O)."""
        ...

    def close(self) -> None:
        """Give back the memory of the device. Nothing may be scored any more."""
        ...


class Engine:
    """Runs one network. Made by `make_engine`."""

    def __init__(self, network: NetworkSpec, clip: ClipSpec, runtime: Runtime) -> None:
        self.runtime = runtime
        self.spec = clip
        self.views = clip.views(network.views)
        self.looks = tuple(Look(clip.start - view.start, view.mirrored) for view in self.views)
        self.used = network.used(clip)
        self.coalitions = Coalitions.of(len(self.used))
        self.baseline = runtime.baseline
        self.closed = False
        self.fell_back = False
        """Whether a faster engine should have run the network, and failed."""

    @property
    def name(self) -> str:
        return self.runtime.name

    def upload(self, clip: Clips) -> Upload:
        """Have a prepared clip (T, H, W, 3) uint8 ready to be scored.   Raises EngineError.

        The only method that other threads may call while the engine is scoring.
        """
        clip = self._checked(clip)
        by_view = [blank_fragments(clip[None], self.spec, view.start)[0] for view in self.views]
        try:
            return Upload(self.runtime.upload(clip), np.all(by_view, axis=0))
        except RuntimeError as error:
            raise EngineError(f"{self.name} cannot take a clip: {error}") from error

    def score(self, clips: Clips | Sequence[Clips | Upload]) -> EngineOutput:
        """Scores and contributions of prepared clips, each (T, H, W, 3) uint8, or uploaded.

        Raises EngineError.
        """
        if self.closed or not len(clips):
            wrong = "the engine is closed" if self.closed else "no clips, need at least one"
            raise EngineError(wrong)
        uploads = [clip if isinstance(clip, Upload) else self.upload(clip) for clip in clips]
        features, values = map(self._mean, self._values(uploads))
        blank = np.stack([upload.blank for upload in uploads])  # (B, K)
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
        blank = np.zeros((self.spec.frames, self.spec.height, self.spec.width, 3), np.uint8)
        _, values = self._values([self.upload(blank)])
        off = np.abs(values - self.baseline).max()
        if not off <= self.runtime.tolerance:
            raise EngineError(
                f"{self.name} is off by {off:.4f} points on a blank clip,"
                f" allowed are {self.runtime.tolerance}"
            )

    def preparations(self, most: int) -> list[int]:
        """Sizes to `prepare` for, one after the other, before batches of up to `most` clips."""
        return self.runtime.preparations(most * len(self.looks))

    def prepare(self, size: int) -> None:
        """Make one of the `preparations`.   Raises EngineError."""
        try:
            self.runtime.prepare(size)
        except RuntimeError as error:
            raise EngineError(f"{self.name} cannot be prepared: {error}") from error

    def close(self) -> None:
        """Give back what the engine has on a device. It cannot score any more."""
        if not self.closed:
            self.closed = True
            self.runtime.close()

    def _values(self, uploads: Sequence[Upload]) -> tuple[Floats, Floats]:
        try:
            return self.runtime.values([upload.pixels for upload in uploads], self.looks)
        except RuntimeError as error:
            raise EngineError(f"{self.name} failed on {len(uploads)} clips: {error}") from error

    def _mean(self, values: Floats) -> Floats:
        """(B·V, …) -> (B, …)"""
        if len(self.looks) == 1:
            return values.copy()  # the runtime's memory is its own
        mean: Floats = values.reshape(-1, len(self.looks), *values.shape[1:]).mean(axis=1)
        return mean

    def _checked(self, clip: Clips) -> Clips:
        need = (self.spec.frames, self.spec.height, self.spec.width, 3)
        if clip.shape != need:
            raise EngineError(f"clip is {clip.shape}, need {need}")
        if clip.dtype != np.uint8:
            raise EngineError(f"clip is {clip.dtype}, need uint8")
        return np.ascontiguousarray(clip)


def in_every_view(clips: Sequence[Clips], looks: Sequence[Look]) -> Clips:
    """B clips (T, H, W, 3) -> (B·V, T, H, W, 3), a copy, for runtimes on the CPU."""
    batch = np.stack(clips)
    if tuple(looks) == (Look(0, False),):
        return batch
    mirrored = batch.view("V3")[:, :, :, ::-1].copy().view(np.uint8)  # copied by the pixel
    # The frames of a view's fragments go where the spec's are; what wraps round is in none.
    views = [np.roll(mirrored if look.mirrored else batch, look.shift, axis=1) for look in looks]
    return np.stack(views, axis=1).reshape(-1, *batch.shape[1:])
