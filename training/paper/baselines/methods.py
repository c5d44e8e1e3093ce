"""The methods of Table 2 by name: trained on one split, measured on the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import JudgedClip
from training.display import Bar
from training.errors import DataError, RunError
from training.measure.evaluate import agreement
from training.paper.baselines import lstm, svr
from training.paper.baselines.fragments import Extraction
from training.paper.baselines.pose_dct import describe
from training.paper.baselines.poses import read_joints

Method = Literal["c3d-svr", "c3d-lstm", "pose-dct"]

FEWEST = 8  # training clips: cross-validation needs some in every fold


def predict(
    method: Method,
    train: Sequence[JudgedClip],
    test: Sequence[JudgedClip],
    *,
    extraction: Extraction | None,
    poses: Path | None,
    seed: int,
    bar: Bar,
) -> NDArray[np.float64]:
    """Points for each clip of `test`.   Raises DataError, RunError."""
    if len(train) < FEWEST:
        raise DataError(f"{len(train)} training clips, need at least {FEWEST}")
    judged = np.array([clip.score for clip in train])
    clips = [*train, *test]
    if method == "pose-dct":
        described = []
        for clip in clips:
            described.append(describe(read_joints(clip, poses)))
            bar.update(len(described), len(clips), phase="poses")
        paths = np.stack(described)
        return svr.regress(paths[: len(train)], judged, paths[len(train) :], seed=seed)
    if extraction is None:
        raise RunError(f"{method} needs features: give --checkpoint NAME or --extractor FILE")
    fragments = extraction.of_clips(clips, bar.progress("features"))
    known, unknown = fragments[: len(train)], fragments[len(train) :]
    if method == "c3d-svr":
        return svr.regress(known.mean(), judged, unknown.mean(), seed=seed)
    return lstm.regress(known, judged, unknown, seed=seed, progress=bar.progress("epochs"))


def figures(
    train: Sequence[JudgedClip], test: Sequence[JudgedClip], predicted: NDArray[np.float64]
) -> dict[str, Any]:
    """What a report reads, JSON-ready: figures beside those of guessing, and every prediction."""
    mean = float(np.mean([clip.score for clip in train]))
    return {
        "train_clips": len(train),
        **agreement(predicted, test, mean),
        "scores": {
            "judged": [clip.score for clip in test],
            "predicted": predicted.tolist(),
        },
    }
