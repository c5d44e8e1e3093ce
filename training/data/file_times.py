"""
Where the frames of a file come to lie in the clip that the network sees.

The rule: this is the one place that knows. A file is resampled by its timestamps to the spec's
rate, whatever its own rate is; of that clip the last T frames are kept, or blank ones are added.

Shapes: N frames in the file, T' in the clip at the spec's rate, T after trimming or padding,
S stages.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.clip import DecodedClip, read_clip
from model_store.spec import ClipSpec
from model_store.video.selection import Window
from training.data.datasets.media import ClipPart, ClipSource
from training.data.datasets.stage_starts import StageStarts

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTimes:
    """When the frames of one file are shown, and by which frames of the clip."""

    seconds: NDArray[np.float64]
    """(N,) on a player's clock."""
    first: Indices
    """(N,) frame of the clip from which on it shows this frame of the file or a later one."""
    length: int
    """T'"""

    @classmethod
    def of(
        cls,
        decoded: DecodedClip,
        spec: ClipSpec,
        window: Window = Window(),  # noqa: B008 it is frozen
    ) -> "FileTimes":
        """Of a clip that was read whole, or of which this window was."""
        timeline = decoded.timeline
        shown = timeline.resample(spec.fps)[window.outputs(decoded.origin, spec.fps)]
        count = len(timeline.pts)
        return cls(
            seconds=np.array([float(decoded.origin + timeline.seconds(n)) for n in range(count)]),
            first=np.searchsorted(shown, np.arange(count)),
            length=len(shown),
        )

    @property
    def shown(self) -> Indices:
        """(T',) frame of the file that each frame of the clip shows."""
        return np.searchsorted(self.first, np.arange(self.length), side="right") - 1

    def stages(self, starts: StageStarts) -> Indices:
        """(T',): the stage of every frame of the clip; −1 before the first.

        Raises ValueError for a stage that begins after the end of the file.
        """
        first = self.first[self._frames(starts)]  # (S,)
        return np.searchsorted(first, np.arange(self.length), side="right") - 1

    def _frames(self, starts: StageStarts) -> Indices:
        """(S,): the frames of the file at which stages begin; those nearest to seconds."""
        last, count = starts.moments[-1], len(self.seconds)
        if starts.unit == "frames":
            if last >= count:
                raise ValueError(f"stages begin at {starts}, the file has {count} frames")
            return np.array(starts.moments, np.int64)
        end = self.seconds[-1] + np.diff(self.seconds).max(initial=0)
        if last >= end:
            raise ValueError(f"stages begin at {starts}, the file ends at {end:.2f}s")
        distance = np.abs(self.seconds - np.array(starts.moments)[:, None])  # (S, N)
        nearest: Indices = distance.argmin(axis=1)
        return nearest


def read_timed(source: ClipSource, spec: ClipSpec) -> tuple[DecodedClip, FileTimes]:
    """A clip as the service decodes it, and when its file shows it.

    Raises what `model_store.clip.read_clip` raises.
    """
    if not isinstance(source, ClipPart):
        decoded = read_clip(source, spec)
        return decoded, FileTimes.of(decoded, spec)
    start_s, end_s = source.start_s, source.end_s
    decoded = read_clip(source.path, spec, start_s=start_s, end_s=end_s)
    return decoded, FileTimes.of(decoded, spec, Window(start_s, end_s))
