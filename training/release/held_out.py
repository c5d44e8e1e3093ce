"""
What a run makes of clips that it has not seen, by its own weights, as `evaluate` measures.

Weights are measured from a checkpoint in a store, as any are; that store is a temporary one. Of a
cross-validation each clip is scored by the run of the fold that held it out.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.clip import prepare
from model_store.engines import EngineName
from model_store.scorer import Scorer
from model_store.store import Store
from training.data.cache import open_cache
from training.data.clip_dataset import CACHE
from training.data.datasets.annotations import JudgedClip
from training.data.stages import has_stages
from training.display import bar
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.measure.evaluate import Evaluation, TimedClip, score_clips
from training.measure.reliability import all_shares, contributions
from training.measure.stage_worth import stage_worth
from training.metrics import spearman
from training.release.cross_validated import CrossValidated
from training.release.publish import publish_run

Floats = NDArray[np.float64]
Figures = dict[str, Any]
Progress = Callable[[int, int], None]


def score_by_run(
    folder: RunFolder,
    options: RunSpec,
    clips: Sequence[JudgedClip],
    engine: EngineName,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """By the weights in a folder; `cache` holds decoded clips, else it is in the first data set."""
    decoded = open_cache(
        [clip.source for clip in clips],
        options.clip,
        cache or Path(options.data[0]) / CACHE,
        progress=progress,
    )
    prepared = (
        TimedClip(prepare(decoded.decoded(index), options.clip), decoded.times(index))
        for index in range(len(clips))
    )
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = publish_run(folder, Store(temporary), "run", half=False)
        return score_clips(Scorer(checkpoint, engine), clips, progress, prepared=prepared)


def measure_stages(folder: RunFolder, options: RunSpec, cache: Path | None = None) -> Figures:
    """What stages and fragments are worth to the judges; left among the folds' figures.

    `stages` are those of `stage_worth`, of the contributions with the declared difficulty where the
    network knows it; `alone_spearman` is, of each fragment, that of the score by video when it
    alone is shown [Li18 Fig. 2]. {} for a run without folds, or whose weights are not kept, and of
    clips whose stages are not known.
    """
    finished = folder.load_cross_validation() if options.uses_all else None
    if finished is None:
        return {}
    found = CrossValidated.of(folder, options)
    known = [
        [clip for clip in found.held_by(number) if has_stages(clip, options.clip)]
        for number in range(len(found.folders))
    ]
    if not any(known) or not found.weights_are_kept:
        return {}
    scored = list[Evaluation]()
    with bar("clips") as shown:
        for number, (part, clips) in enumerate(zip(found.folders, known, strict=True)):
            if clips:
                progress = shown.progress(f"stages, fold {number}")
                scored.append(score_by_run(part, options, clips, "torch", cache, progress))
    declared = [each.with_difficulty for each in scored]
    answers = scored if None in declared else [each for each in declared if each is not None]
    shares = [all_shares(options.clip, each.clips, each.times) for each in answers]
    judged = np.concatenate([each.judged for each in scored])
    alone = np.array([score.alone for each in scored for score in each.scores])
    stages = stage_worth(
        options.clip.stages,
        np.concatenate([contributions(each) for each in answers]),
        np.concatenate(shares),
        np.concatenate([each.predicted for each in answers]),
        judged,
    )
    if not stages:
        return {}
    figures, confidence = finished
    ranked = [spearman(column, judged) for column in alone.T]
    measured = {"stages": stages, "alone_spearman": ranked}
    folder.save_cross_validation(figures | measured, confidence)
    return measured


def in_words(figures: Figures) -> list[str]:
    """A line for each stage of `measure_stages`."""
    return [
        f"{stage}: a point that it contributes is worth {each['worth']:.2f} [{each['low']:.2f},"
        f" {each['high']:.2f}] points of the judges; Spearman {each['spearman']:.2f}"
        for stage, each in figures.get("stages", {}).items()
    ]
