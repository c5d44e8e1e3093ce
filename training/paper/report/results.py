"""
Runs and baselines, sorted into what the tables and figures ask for.

A cell is one data set, loss and choice of fragments. Runs that differ in nothing but seed, fold
and pre-training share one, and its figure is their mean.

Shapes: N test clips, R runs, K fragments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import JudgedClip
from training.data.datasets.kinds import read_clips
from training.errors import RunError
from training.metrics import mean_distance, spearman
from training.paper.report.baseline_file import Baseline
from training.paper.report.bootstrap import Estimate, estimate
from training.paper.report.measured import MeasuredRun

Floats = NDArray[np.float64]
Fragments = tuple[int, ...]

LOSSES = ("MSE", "ranking", "MSE + ranking")
PREFERRED = ("MSE + ranking", "MSE", "ranking")
REPEATED = ("seed", "fold", "extractor")  # what runs of one cell may differ in


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

    @cached_property
    def spearman(self) -> Estimate:
        return estimate(spearman, self.predicted, self.judged)

    @cached_property
    def mean_distance(self) -> Estimate:
        return estimate(mean_distance, self.predicted, self.judged)

    @cached_property
    def alone(self) -> list[Estimate]:
        """Spearman of each fragment, K of them, when the others are blanked while scoring."""
        shown = np.stack([run.alone for run in self.runs])  # (R, N, K)
        return [estimate(spearman, shown[..., k], self.judged) for k in range(shown.shape[2])]


@dataclass
class DataSet:
    """One data set, all that was measured on it, and what needs no model."""

    name: str
    folders: tuple[str, ...]
    action: str
    fragments: int
    stage_of_fragment: list[str | None]
    trained_on: str
    """simulated, real or both"""
    test: Sequence[JudgedClip]
    training_mean: float
    """Points, of the whole training split."""
    cells: dict[tuple[str, Fragments], Cell] = field(default_factory=dict)
    baselines: list[Baseline] = field(default_factory=list)

    @property
    def all(self) -> Fragments:
        return tuple(range(self.fragments))

    @property
    def last(self) -> Fragments:
        return (self.fragments - 1,)

    @property
    def judged(self) -> Floats:
        return np.array([clip.score for clip in self.test])

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

    def preferred(self, *choices: Fragments) -> tuple[str, Fragments] | None:
        """The cell to show where there is room for one."""
        wanted = ((loss, fragments) for fragments in choices for loss in PREFERRED)
        return next((key for key in wanted if key in self.cells), None)

    @cached_property
    def difficulty_alone(self) -> Estimate | None:
        declared = [clip.difficulty for clip in self.test if clip.difficulty is not None]
        if len(declared) < len(self.test):
            return None
        return estimate(spearman, np.array([declared]), self.judged)

    @cached_property
    def always_the_mean(self) -> Estimate:
        """Mean distance, points."""
        return estimate(
            mean_distance, np.full((1, len(self.test)), self.training_mean), self.judged
        )


def gather(runs: Sequence[MeasuredRun], baselines: Sequence[Baseline]) -> list[DataSet]:
    """Data sets in the order in which runs first name them.

    Raises RunError for runs that fall into one cell but are not repetitions of one another, and
    for a baseline of a data set that no run is of.
    """
    sets: dict[tuple[str, ...], DataSet] = {}
    cells: dict[tuple[str, ...], dict[tuple[str, Fragments], list[MeasuredRun]]] = {}
    for run in runs:
        key = tuple(str(Path(folder).resolve()) for folder in run.options.data)
        if key not in sets:
            sets[key] = _data_set(run)
            cells[key] = {}
        place = run.options.terms, run.options.fragments
        cells[key].setdefault(place, []).append(run)
    for key, data_set in sets.items():
        for group in cells[key].values():
            _check_repetitions(group)
        data_set.cells = {place: Cell(tuple(group)) for place, group in cells[key].items()}
    _name_apart(list(sets.values()))
    for baseline in baselines:
        _set_of(baseline, sets).baselines.append(baseline)
    return list(sets.values())


def _data_set(run: MeasuredRun) -> DataSet:
    folders = run.options.data
    training = [
        clip.score
        for folder in folders
        for clip in read_clips(run.options.kind, Path(folder))
        if clip.split == "train"
    ]
    return DataSet(
        name=" + ".join(Path(folder).name for folder in folders),
        folders=folders,
        action=run.options.clip.action,
        fragments=run.options.clip.fragments,
        stage_of_fragment=run.summary.stage_of_fragment,
        trained_on=run.summary.trained_on,
        test=run.clips,
        training_mean=float(np.mean(training)),
    )


def _check_repetitions(runs: Sequence[MeasuredRun]) -> None:
    first, *others = (
        {k: v for k, v in r.options.to_json().items() if k not in REPEATED} for r in runs
    )
    for run, options in zip(runs[1:], others, strict=True):
        if differing := sorted(name for name in first if options[name] != first[name]):
            raise RunError(
                f"{runs[0].path} and {run.path} belong into one cell (same data, loss and"
                f" fragments) but differ in {', '.join(differing)}: report them apart"
            )


def _name_apart(sets: Sequence[DataSet]) -> None:
    names = [each.name for each in sets]
    for each in sets:
        if names.count(each.name) > 1:
            each.name = " + ".join(each.folders)


def _set_of(baseline: Baseline, sets: dict[tuple[str, ...], DataSet]) -> DataSet:
    """By its folders, or else by their names."""
    resolved = tuple(str(Path(folder).resolve()) for folder in baseline.data)
    if resolved in sets:
        return sets[resolved]
    name = " + ".join(Path(folder).name for folder in baseline.data)
    named = [each for each in sets.values() if each.name == name]
    if len(named) != 1:
        known = ", ".join(each.name for each in sets.values())
        raise RunError(
            f"baseline {baseline.method} is of {' '.join(baseline.data)}, the runs of {known}"
        )
    return named[0]
