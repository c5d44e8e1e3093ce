"""
Runs and baselines, sorted into what the tables and figures ask for.

A cell is one data set, loss and choice of fragments. Runs that differ in nothing but seed, fold
and pre-training share one, and its figure is their mean. Runs that were to learn from some clips
only (`train --clips`) are in no cell: they make the data set's learning curve.

The rule: all figures of a data set are on the same clips, by the same way to measure.

Shapes: N clips that measure, R runs, K fragments.
"""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import JudgedClip
from training.measure.bootstrap import (
    Estimate,
    Repeated,
    difference,
    estimate,
    estimate_over_seeds,
)
from training.metrics import mean_distance, spearman
from training.paper.report import published
from training.paper.report.baseline_file import Baseline
from training.paper.report.measured import MeasuredRun

Floats = NDArray[np.float64]
Fragments = tuple[int, ...]

VIDEO, DECLARED = "video alone", "difficulty declared"  # the outputs of a network that has both
LOSSES = ("MSE", "ranking", "MSE + ranking")
FROM_ZERO = "ranking, from 0"  # `train --loss ranking --from-zero`
PREFERRED = ("MSE + ranking", "MSE", "ranking", FROM_ZERO)


@dataclass(frozen=True)
class Cell:
    """Runs of one data set, loss and choice of fragments."""

    runs: tuple[MeasuredRun, ...]

    @property
    def predicted(self) -> Floats:
        """(R, N) points"""
        return np.stack([run.predicted for run in self.runs])

    @property
    def judged(self) -> Floats:
        return np.array([clip.score for clip in self.runs[0].clips])

    @property
    def repeated(self) -> Repeated:
        return Repeated(self.predicted, tuple(run.options.seed for run in self.runs))

    @cached_property
    def declared(self) -> "Cell | None":
        """The same runs once the declared difficulties are used.

        None where their network has one output: it is reported by that alone.
        """
        runs = [
            dataclasses.replace(run, predicted=run.declared, declared=None, alone=None)
            for run in self.runs
            if run.declared is not None
        ]
        return Cell(tuple(runs)) if runs else None

    @cached_property
    def spearman_over_seeds(self) -> Estimate:
        """Its interval is wider where seeds matter."""
        return estimate_over_seeds(spearman, self.repeated, self.judged)

    @cached_property
    def spearman(self) -> Estimate:
        return estimate(spearman, self.predicted, self.judged)

    @cached_property
    def mean_distance(self) -> Estimate:
        return estimate(mean_distance, self.predicted, self.judged)

    @cached_property
    def alone(self) -> list[Estimate] | None:
        """Spearman of each fragment, K of them, when the others are blanked while scoring.

        None where a run was not asked for it.
        """
        each = [run.alone for run in self.runs if run.alone is not None]
        if len(each) < len(self.runs):
            return None
        shown = np.stack(each)  # (R, N, K)
        return [estimate(spearman, shown[..., k], self.judged) for k in range(shown.shape[2])]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two losses, with the same fragments and clips: the first minus the second."""

    losses: tuple[str, str]
    fragments: Fragments
    by: str
    """VIDEO or DECLARED: what the scores know."""
    spearman: Estimate
    mean_distance: Estimate
    """Points."""


@dataclass(frozen=True, slots=True)
class Line:
    """Of a learning curve: runs that start alike, by how many clips they learned from."""

    start: str
    cells: dict[int, Cell]


@dataclass
class DataSet:
    """One data set, all that was measured on it, and what needs no model."""

    name: str
    folders: tuple[str, ...]
    kind: str
    """As `--kind` has it."""
    action: str
    fragments: int
    stage_of_fragment: list[str | None]
    trained_on: str
    """simulated, real or both: the clips and those that trained a base"""
    simulated: bool
    """Whether a simulator made every folder: frames of other clips are shown nowhere."""
    clips: Sequence[JudgedClip]
    """Those that measure: the test split, or with `folds` all that were held out once."""
    training_mean: Floats
    """(N,) points: the mean of the training split; of a cross-validation that of the clips that
    the other folds held out."""
    folds: int | None = None
    """Of a cross-validation."""
    fold: NDArray[np.int64] | None = None
    """(N,): which of them held the clip out."""
    cells: dict[tuple[str, Fragments], Cell] = field(default_factory=dict)
    curve: list[Line] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)

    @property
    def all(self) -> Fragments:
        return tuple(range(self.fragments))

    @property
    def last(self) -> Fragments:
        return (self.fragments - 1,)

    @property
    def judged(self) -> Floats:
        return np.array([clip.score for clip in self.clips])

    @property
    def measured_on(self) -> str:
        """In words."""
        if self.folds is None:
            return f"{len(self.clips)} test clips"
        return f"by {self.folds}-fold cross-validation on {len(self.clips)} clips"

    @property
    def published_as(self) -> str:
        """Its name among published figures: of AQA-7 the kind, whatever the clips are cut as."""
        return self.kind if self.kind in published.AQA7 else self.action

    @property
    def slug(self) -> str:
        """For file names."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def cell(self, loss: str, fragments: Fragments) -> Cell | None:
        return self.cells.get((loss, fragments))

    def singles(self) -> tuple[str, dict[int, Cell]]:
        """Cells of single fragments by index, of the loss that has most of them."""
        by_loss: dict[str, dict[int, Cell]] = {loss: {} for loss in PREFERRED}
        for (loss, fragments), cell in self.cells.items():
            if len(fragments) == 1:
                by_loss[loss][fragments[0]] = cell
        return max(by_loss.items(), key=lambda each: len(each[1]))

    def beside_singles(self) -> tuple[str, Cell] | None:
        """Loss and cell of all fragments, of the loss of `singles` where there is one."""
        loss, _ = self.singles()
        key = (loss, self.all) if (loss, self.all) in self.cells else self.preferred(self.all)
        return None if key is None else (key[0], self.cells[key])

    @property
    def has_declared(self) -> bool:
        """Whether networks have an output of their own for scores with a declared difficulty."""
        lines = (cell for line in self.curve for cell in line.cells.values())
        return any(cell.declared is not None for cell in (*self.cells.values(), *lines))

    def preferred(self, *choices: Fragments) -> tuple[str, Fragments] | None:
        """The cell to show where there is room for one."""
        wanted = ((loss, fragments) for fragments in choices for loss in PREFERRED)
        return next((key for key in wanted if key in self.cells), None)

    @cached_property
    def difficulty_alone(self) -> Estimate | None:
        declared = [clip.difficulty for clip in self.clips if clip.difficulty is not None]
        if len(declared) < len(self.clips):
            return None
        return estimate(spearman, np.array([declared]), self.judged)

    @cached_property
    def always_the_mean(self) -> Estimate:
        """Mean distance, points."""
        return estimate(mean_distance, self.training_mean[None], self.judged)

    @cached_property
    def differences(self) -> list[Difference]:
        """Of each two losses of which there are runs, for the last fragment and for all."""
        found = []
        for fragments in dict.fromkeys([self.last, self.all]):
            there = [loss for loss in LOSSES if (loss, fragments) in self.cells]
            for losses in itertools.combinations(there, 2):
                one, other = (self.cells[loss, fragments] for loss in losses)
                found.append(_difference(losses, fragments, VIDEO, one, other))
                if one.declared is not None and other.declared is not None:
                    pair = one.declared, other.declared
                    found.append(_difference(losses, fragments, DECLARED, *pair))
        return found


def _difference(
    losses: tuple[str, str], fragments: Fragments, by: str, one: Cell, other: Cell
) -> Difference:
    ranks, distances = (
        difference(measure, one.repeated, other.repeated, one.judged)
        for measure in (spearman, mean_distance)
    )
    return Difference(losses, fragments, by, ranks, distances)
