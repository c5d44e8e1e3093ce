"""
A run of `train`, and what its best weights predict for the test split of its data.

The rule: they are scored as `evaluate` scores any checkpoint, from a checkpoint in a store. That
store is a temporary one. Test clips are decoded once for all runs, and the predictions are kept in
the run's folder under a key made of weights and clips, so that a report is drawn again in seconds.

Shapes: N test clips, K fragments.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.card import ClipsCard
from model_store.clip import prepare
from model_store.engines import EngineName
from model_store.files import replace_file
from model_store.scorer import Scorer
from model_store.store import Store
from training.data.cache import cache_key, open_cache
from training.data.clip_dataset import CACHE
from training.data.datasets.annotations import JudgedClip
from training.data.judged_clips import open_clips
from training.data.seen_clips import SeenClips, seen_among
from training.errors import DataError
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import RunSummary, read_summary
from training.measure.evaluate import TimedClip, score_clips
from training.release.publish import publish_run

PREDICTIONS = "test.json"
FEWEST = 2  # test clips; one cannot be ranked

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    path: Path
    options: RunSpec
    summary: RunSummary
    best: dict[str, Any]
    """Figures on the run's own validation clips."""
    clips: Sequence[JudgedClip]
    """The test split."""
    predicted: Floats
    """(N,) points"""
    seen: SeenClips
    """Of the test clips those that the run has seen."""
    alone: Floats
    """(N, K) points: the score when one fragment is shown and the others are blank."""


def measure(path: Path, engine: EngineName, progress: Progress | None = None) -> MeasuredRun:
    """Score the test split with a run's best weights, or read how that went before.

    Raises RunError for a folder without finished weights, DataError for unusable clips.
    """
    folder = RunFolder(path)
    options, summary = RunSpec.from_json(folder.options()), read_summary(folder)
    _, best = folder.load_weights()
    every = open_clips(options.kind, options.data, options.clip)
    clips = [clip for clip in every if clip.split == "test"]
    if len(clips) < FEWEST:
        raise DataError(f"{' '.join(options.data)}: {len(clips)} test clips, need {FEWEST}")
    key = predictions_key(folder, options, clips)
    kept = _kept(path / PREDICTIONS, key)
    if kept is None:
        kept = _scored(folder, options, clips, engine, progress) | {"key": key}
        replace_file(path / PREDICTIONS, (json.dumps(kept) + "\n").encode())
    return MeasuredRun(
        path=path,
        options=options,
        summary=summary,
        best=best,
        clips=clips,
        seen=seen_among(path.name, ClipsCard.model_validate(summary.clips), clips),
        predicted=np.array(kept["predicted"]),
        alone=np.array(kept["alone"]),
    )


def predictions_key(folder: RunFolder, options: RunSpec, clips: Sequence[JudgedClip]) -> str:
    """Changes with the weights, the options, and the test clips and their difficulty."""
    digest = hashlib.sha256((folder.path / "weights.safetensors").read_bytes())
    digest.update(json.dumps(options.to_json(), sort_keys=True).encode())
    digest.update(cache_key([clip.source for clip in clips], options.clip).encode())
    digest.update(repr([clip.difficulty for clip in clips]).encode())
    return digest.hexdigest()


def _kept(path: Path, key: str) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return kept if kept.get("key") == key else None


def _scored(
    folder: RunFolder,
    options: RunSpec,
    clips: Sequence[JudgedClip],
    engine: EngineName,
    progress: Progress | None,
) -> dict[str, Any]:
    cache = open_cache(
        [clip.source for clip in clips],
        options.clip,
        Path(options.data[0]) / CACHE,
        progress=progress,
    )
    prepared = (
        TimedClip(prepare(cache.decoded(index), options.clip), cache.times(index))
        for index in range(len(clips))
    )
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = publish_run(folder, Store(temporary), "run", half=False)
        evaluation = score_clips(Scorer(checkpoint, engine), clips, progress, prepared=prepared)
    return {
        "predicted": [score.score for score in evaluation.scores],
        "alone": [score.alone for score in evaluation.scores],
    }
