"""
A run of `train`, and what it predicts for clips that it has not seen.

Those are the test split of its data, and of a cross-validation (`train --folds`) its own clips,
each predicted by the run that had not seen it.

The rule: weights are measured as `evaluate` measures any checkpoint. Clips are decoded once for all
runs, and the scores are kept in the run's folder under a key made of weights and clips, so that a
report is drawn again in seconds. The predictions of a cross-validation are those that it has left.

Shapes: N clips that measure, K fragments.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.card import ClipsCard
from model_store.engines import EngineName
from model_store.files import replace_file
from training.data.cache import cache_key
from training.data.datasets.annotations import JudgedClip
from training.data.judged_clips import open_clips
from training.data.seen_clips import SeenClips, seen_among
from training.errors import DataError
from training.learn.run_folder import WEIGHTS, RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import RunSummary, read_summary
from training.release.cross_validated import CrossValidated
from training.release.held_out import score_by_run

PREDICTIONS, ALONE = "test.json", "alone.json"
FORMAT = b"2"  # of these files
FEWEST = 2  # test clips; one cannot be ranked

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    path: Path
    options: RunSpec
    summary: RunSummary
    best: dict[str, Any]
    """Figures on the run's own validation clips; of a cross-validation those of all folds."""
    clips: Sequence[JudgedClip]
    """The test split, or all clips that were held out once."""
    predicted: Floats
    """(N,) points; of a network with two outputs those by the video alone."""
    declared: Floats | None = None
    """(N,) points once the declared difficulty is used, of a network with two outputs."""
    seen: SeenClips
    """Of these clips those that have taught what predicts them."""
    alone: Floats | None
    """(N, K) points by the video alone: the score when one fragment is shown and the others are
    blank. None where that was not measured."""
    fold: NDArray[np.int64] | None = None
    """(N,): which fold held the clip out; None where the clips are a test split."""


def measure(
    path: Path,
    engine: EngineName,
    progress: Progress | None = None,
    *,
    cache: Path | None = None,
) -> MeasuredRun:
    """Score the clips that measure a run, or read how that went before.

    `cache` is a folder for decoded clips; else it is in the first data set. Raises RunError for a
    folder without finished weights or folds, DataError for unusable clips.
    """
    folder = RunFolder(path)
    options = RunSpec.from_json(folder.options())
    measurement = Measurement(folder, options, engine, cache, progress)
    return measurement.by_folds() if options.uses_all else measurement.on_test_split()


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one run."""

    folder: RunFolder
    options: RunSpec
    engine: EngineName
    cache: Path | None
    progress: Progress | None

    def on_test_split(self) -> MeasuredRun:
        folder, options, summary = self.folder, self.options, read_summary(self.folder)
        _, best = folder.load_weights()
        every = open_clips(options.kind, options.data, options.clip)
        clips = [clip for clip in every if clip.split == "test"]
        if len(clips) < FEWEST:
            raise DataError(f"{' '.join(options.data)}: {len(clips)} test clips, need {FEWEST}")
        scored = self._kept(PREDICTIONS, [folder], clips, lambda: self._scored(folder, clips))
        declared = scored["declared"]
        return MeasuredRun(
            path=folder.path,
            options=options,
            summary=summary,
            best=best,
            clips=clips,
            seen=seen_among(folder.path.name, ClipsCard.model_validate(summary.clips), clips),
            predicted=np.array(scored["predicted"]),
            declared=None if declared is None else np.array(declared),
            alone=np.array(scored["alone"]),
        )

    def by_folds(self) -> MeasuredRun:
        found = CrossValidated.of(self.folder, self.options)
        scores = found.scores
        return MeasuredRun(
            path=self.folder.path,
            options=self.options,
            summary=read_summary(self.folder),
            best=found.figures,
            clips=found.clips,
            seen=self._seen_by_folds(found),
            predicted=scores[:, 0],
            declared=scores[:, 1] if scores.shape[1] > 1 else None,
            alone=self._alone_by_folds(found),
            fold=found.fold,
        )

    def _seen_by_folds(self, found: CrossValidated) -> SeenClips:
        """Of the clips of each fold those that its own run has seen, its base included."""
        chose, folds = read_summary(self.folder).clips["validation"], []
        for number, folder in enumerate(found.folders):
            known = ClipsCard.model_validate(read_summary(folder).clips)
            # Clips that a fold holds out measure it here, and choose nothing: those that do are
            # the base's, which the run on all clips has, too.
            known = known.model_copy(update={"validation": chose})
            folds.append(seen_among(self.folder.path.name, known, found.held_by(number)))
        roles = {role: [n for fold in folds for n in fold.roles[role]] for role in folds[0].roles}
        return SeenClips(folds[0].name, len(found.clips), roles, folds[0].unlisted)

    def _alone_by_folds(self, found: CrossValidated) -> Floats | None:
        """(N, K), each clip by its own fold's weights; only of a network of several fragments.

        Runs of a learning curve are not asked either: Fig. 2 does not show them.
        """
        if len(self.options.fragments) == 1 or self.options.clips or not found.weights_are_kept:
            return None

        def scored() -> dict[str, Any]:
            alone = np.empty((len(found.clips), self.options.clip.fragments))
            for number, folder in enumerate(found.folders):
                scores = self._scored(folder, found.held_by(number))
                alone[found.fold == number] = scores["alone"]
            return {"alone": alone.tolist()}

        return np.array(self._kept(ALONE, found.folders, found.clips, scored)["alone"])

    def _kept(
        self,
        name: str,
        folders: Sequence[RunFolder],
        clips: Sequence[JudgedClip],
        scored: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        """What the file in the run's folder holds; scored anew where it is of other weights."""
        key = predictions_key(folders, self.options, clips)
        kept = _read(self.folder.path / name, key)
        if kept is None:
            kept = scored() | {"key": key}
            replace_file(self.folder.path / name, (json.dumps(kept) + "\n").encode())
        return kept

    def _scored(self, folder: RunFolder, clips: Sequence[JudgedClip]) -> dict[str, Any]:
        """By the weights in a folder, in JSON's types."""
        evaluation = score_by_run(
            folder, self.options, clips, self.engine, self.cache, self.progress
        )
        both = self.options.network.target == "both"
        declared = evaluation.with_difficulty if both else None
        return {
            "predicted": [score.score for score in evaluation.scores],
            "declared": None if declared is None else [each.score for each in declared.scores],
            "alone": [score.alone for score in evaluation.scores],
        }


def predictions_key(
    folders: Sequence[RunFolder], options: RunSpec, clips: Sequence[JudgedClip]
) -> str:
    """Changes with the weights, the options, and the clips and their difficulty."""
    digest = hashlib.sha256(FORMAT)
    for folder in folders:
        digest.update((folder.path / WEIGHTS).read_bytes())
    digest.update(json.dumps(options.to_json(), sort_keys=True).encode())
    digest.update(cache_key([clip.source for clip in clips], options.clip).encode())
    digest.update(repr([clip.difficulty for clip in clips]).encode())
    return digest.hexdigest()


def _read(path: Path, key: str) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return kept if kept.get("key") == key else None
