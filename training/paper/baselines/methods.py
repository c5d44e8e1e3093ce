"""
The methods of Table 2 by name: trained on some clips, applied to others.

The rule: clips are described once, by what needs no fitting. All that is fitted (scalers,
parameters, the weights of a sequence, the layers of ConvISA) sees the clips to learn from and no
other.

Shapes: N clips to learn from, M others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.data.split import Indices
from training.display import Bar
from training.errors import DataError, RunError
from training.paper.baselines import conv_isa, lstm, svr
from training.paper.baselines.conv_isa_spec import ConvIsaSpec
from training.paper.baselines.fragments import Extraction
from training.paper.baselines.pose_dct import describe
from training.paper.baselines.poses import frame_rate, read_joints
from training.paper.baselines.prepared import PreparedClips

Method = Literal["c3d-svr", "c3d-lstm", "c3d-pool5-svr", "c3d-pool5-lstm", "conv-isa", "pose-dct"]
BY_FC6 = ("c3d-svr", "c3d-lstm")
Floats = NDArray[np.float64]
Regression = Callable[[Indices, Indices], Floats]
"""Rows of clips to learn from (N,), and of others (M,) -> points for these, (M,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the methods describe clips by."""

    spec: ClipSpec
    """What a clip is prepared as, where its frames are looked at."""
    extraction: Extraction | None
    """None for methods that need no network."""
    poses: Path | None
    """Folder of keypoints; None: the simulator's tracks."""
    conv_isa: ConvIsaSpec
    cache: Path
    """Folder for decoded clips."""


def regression(
    method: Method,
    parts: Sequence[Sequence[JudgedClip]],
    sources: Sources,
    *,
    seed: int,
    bar: Bar,
) -> Regression:
    """Describe the clips of all parts, whose rows follow one another.

    Raises DataError, RunError.
    """
    clips = [clip for part in parts for clip in part]
    judged = np.array([clip.score for clip in clips])
    if method == "pose-dct":
        described = []
        for clip in clips:
            joints = read_joints(clip, sources.poses)
            described.append(describe(joints, frame_rate(clip), sources.spec))
            bar.update(len(described), len(clips), phase="poses")
        return by_svr(np.stack(described), judged, seed)
    if method == "conv-isa":
        prepared = PreparedClips.of(parts, sources.spec, sources.cache, bar.progress("decoding"))
        return by_conv_isa(clips, prepared, sources.conv_isa, seed, bar)
    if sources.extraction is None:
        names = "" if method in BY_FC6 else "--checkpoint NAME or "
        raise RunError(f"{method} needs features: give {names}--extractor FILE")
    prepared = PreparedClips.of(parts, sources.spec, sources.cache, bar.progress("decoding"))
    fragments = sources.extraction.of_clips(prepared, bar.progress("features"))
    if method.endswith("-svr"):
        return by_svr(fragments.mean(), judged, seed)

    def by_lstm(known: Indices, unknown: Indices) -> Floats:
        return lstm.regress(
            fragments[known],
            judged[known],
            fragments[unknown],
            seed=seed,
            progress=bar.progress("epochs"),
        )

    return by_lstm


def by_svr(values: NDArray[np.floating], judged: Floats, seed: int) -> Regression:
    """(N + M, P) values of all clips, and their scores."""
    return lambda known, unknown: svr.regress(
        values[known], judged[known], values[unknown], seed=seed
    )


def by_conv_isa(
    clips: Sequence[JudgedClip], prepared: PreparedClips, spec: ConvIsaSpec, seed: int, bar: Bar
) -> Regression:
    """Raises DataError, naming the clip, where one is smaller or shorter than a block."""
    for clip, frames in zip(clips, prepared, strict=True):
        try:
            conv_isa.windows_of(conv_isa.grey(frames), spec)
        except DataError as error:
            raise DataError(f"{clip.source}: {error}") from error
    judged = np.array([clip.score for clip in clips])
    return lambda known, unknown: conv_isa.regress(
        prepared.of_rows(known),
        judged[known],
        prepared.of_rows(unknown),
        spec,
        seed=seed,
        progress=bar.progress,
    )
