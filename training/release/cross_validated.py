"""
What the runs of `train --folds` predict for clips that they have not seen.

The rule: every clip is predicted by the run of the fold that held it out, and by no other; the run
on all clips is not asked, and no split for tests is opened. Clips come in the order of their
hashes, whatever the run.

Shapes: N clips, all that were held out once; K fragments; O outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.announced import Announced
from training.data.clip_list import ClipRecord
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes
from training.data.judged_clips import open_clips
from training.errors import RunError
from training.learn.run_folder import CROSS_VALIDATION, RunFolder
from training.learn.run_spec import RunSpec
from training.learn.validation import Figures

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class CrossValidated:
    """The folds of a finished run, and the clips that each of them held out."""

    options: RunSpec
    figures: Figures
    """Of all folds together, as the run has left them."""
    folders: tuple[RunFolder, ...]
    """One a fold."""
    clips: Sequence[JudgedClip]
    """(N,)"""
    fold: Indices
    """(N,): which one held the clip out."""
    rows: Indices
    """(N,): the clip's row in the predictions of every fold."""

    @classmethod
    def of(cls, folder: RunFolder, options: RunSpec) -> "CrossValidated":
        """Raises RunError for folds that have not ended, or whose clips are there no more."""
        finished = folder.load_cross_validation()
        if finished is None:
            raise RunError(
                f"{folder.path} has no {CROSS_VALIDATION}, its folds have not ended: give the same"
                " `train` command again"
            )
        folds = tuple(RunFolder(folder.path / f"fold-{k}") for k in range(options.folds or 0))
        records = [fold.clips() for fold in folds]
        fold_of = {
            row: number
            for number, clips in enumerate(records)
            for row, clip in enumerate(clips)
            if clip.content.side == "validation"
        }
        rows = np.array(sorted(fold_of), np.int64)
        held = [records[0][row] for row in rows]
        fold = np.array([fold_of[row] for row in rows], np.int64)
        return cls(options, finished[0], folds, judged(folder, options, held), fold, rows)

    def held_by(self, number: int) -> list[JudgedClip]:
        """The clips that a fold held out, in order."""
        return [clip for clip, k in zip(self.clips, self.fold, strict=True) if k == number]

    @property
    def kept(self) -> str:
        """Which predictions of the folds are the answer: trained or readout."""
        return str(self.figures["kept"])

    @cached_property
    def scores(self) -> Floats:
        """(N, O) points, as the outputs announce them."""
        predicted = self._out_of_fold([f.load_predictions(self.kept) for f in self.folders])
        announced = Announced.of(self.clips, self.options.clip, self.options.network.target)
        return announced.score(predicted, np.arange(len(self.clips)))

    def _out_of_fold(self, predictions: Sequence[dict[str, NDArray[np.float32]]]) -> Floats:
        """(N, O) in the outputs' units, of every clip those by its own fold."""
        each = np.stack([arrays["predicted"] for arrays in predictions])  # (folds, clips, O)
        return each[self.fold, self.rows].astype(np.float64)

    @property
    def weights_are_kept(self) -> bool:
        """Whether the folds' folders hold the weights that gave the predictions.

        Where epochs were made that were not worth it, the weights from before them are gone.
        """
        phases = [fold.load_weights()[1]["phase"] for fold in self.folders]
        return all((phase == "readout") == (self.kept == "readout") for phase in phases)


def judged(folder: RunFolder, options: RunSpec, records: Sequence[ClipRecord]) -> list[JudgedClip]:
    """The clips of these records as the data set has them now.   Raises RunError."""
    clips = open_clips(options.kind, options.data, options.clip, "train")
    known = dict(zip(clip_hashes(clips), clips, strict=True))
    found = []
    for record in records:
        clip = known.get(record.content.sha256)
        if clip is None or repr(clip.score) != record.content.judged:
            now = "is missing" if clip is None else f"is {clip.score:g}"
            raise RunError(
                f"{folder.path} is of other data: {Path(record.name).name}, judged"
                f" {record.content.judged} then, {now} now"
            )
        found.append(clip)
    return found
