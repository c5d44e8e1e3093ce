"""
Which stage of the routine each frame of a clip belongs to.

The rule: annotations count the frames of the file, the network those of the clip that is made of
it; only `FileTimes` converts one into the other.

Shapes: K fragments, S stages, T' frames at the spec's rate, T after trimming or padding.
"""

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.data.file_times import FileTimes, Indices
from training.errors import DataError

DIFFICULTY_SHOWN_IN = {"diving": "flight", "vault": "after-flight"}
"""The stage from which it can be read, by action."""


def has_stages(clip: JudgedClip, spec: ClipSpec) -> bool:
    """Whether it is known when each of the spec's stages begins."""
    return clip.stage_starts is not None and len(clip.stage_starts) == len(spec.stages)


def stages_of_clip(clip: JudgedClip, times: FileTimes) -> Indices:
    """(T',): the stage of every frame at the spec's rate; −1 before the first, or where unknown.

    Raises DataError for a stage that begins after the end of the file.
    """
    if clip.stage_starts is None:
        return np.full(times.length, -1)
    try:
        return times.stages(clip.stage_starts)
    except ValueError as error:
        raise DataError(f"{clip.path}: {error}") from error


def stages_of_frames(spec: ClipSpec, clip: JudgedClip, times: FileTimes) -> Indices:
    """(T,): the stage of every frame of the prepared clip; −1 also in padding.

    Raises as `stages_of_clip`.
    """
    kept = stages_of_clip(clip, times)[-spec.frames :]
    begin = spec.offset(len(kept))
    stages = np.full(spec.frames, -1)
    stages[begin : begin + len(kept)] = kept
    return stages


def stage_shares(spec: ClipSpec, stages: Indices) -> NDArray[np.float64]:
    """(T,) -> (K, S): the share of each fragment's frames that lies in each stage, 0 in padding."""
    frames = np.stack([stages[list(spec.fragment_frames(k))] for k in range(spec.fragments)])
    return np.stack([(frames == s).mean(axis=1) for s in range(len(spec.stages))], axis=1)
