"""
From runs to data sets: which runs belong together, and which may not stand in one report.

The rule: runs of one data set are measured on the same clips in the same way, and runs of one cell
differ in nothing but what is repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.kinds import read_clips
from training.errors import RunError
from training.learn.run_spec import RunSpec
from training.learn.summary import simulation_of
from training.paper.report.baseline_file import Baseline
from training.paper.report.measured import MeasuredRun
from training.paper.report.results import Cell, DataSet, Fragments, Line

Floats = NDArray[np.float64]

REPEATED = ("seed", "fold", "extractor")  # what runs of one cell may differ in


@dataclass(frozen=True, slots=True)
class Source:
    """What one data set is: a folder may hold several, as that of AQA-7 does."""

    folders: tuple[str, ...]
    """Resolved."""
    kind: str
    action: str


def gather(runs: Sequence[MeasuredRun], baselines: Sequence[Baseline]) -> list[DataSet]:
    """Data sets in the order in which runs first name them.

    Raises RunError for runs of one data set that are measured on other clips or folds, for runs
    that fall into one cell but are not repetitions of one another, and for a baseline of a data set
    that no run is of, or that is measured on other clips or folds.
    """
    by_data: dict[Source, list[MeasuredRun]] = {}
    for run in runs:
        options = run.options
        source = Source(_resolved(options.data), options.kind, options.clip.action)
        by_data.setdefault(source, []).append(run)
    sets = {source: _data_set(group) for source, group in by_data.items()}
    _name_apart(list(sets.values()))
    for baseline in baselines:
        _set_of(baseline, sets).baselines.append(baseline)
    return list(sets.values())


def _resolved(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(Path(folder).resolve()) for folder in folders)


def _data_set(runs: Sequence[MeasuredRun]) -> DataSet:
    first = runs[0]
    for run in runs[1:]:
        _check_same_clips(first, run)
    folders = first.options.data
    return DataSet(
        name=" + ".join(Path(folder).name for folder in folders),
        folders=folders,
        kind=first.options.kind,
        action=first.options.clip.action,
        fragments=first.options.clip.fragments,
        stage_of_fragment=first.summary.stage_of_fragment,
        trained_on=first.summary.trained_on,
        simulated=all(simulation_of(Path(folder)) is not None for folder in folders),
        clips=first.clips,
        training_mean=_training_mean(first),
        folds=first.options.folds if first.fold is not None else None,
        fold=first.fold,
        cells=_cells([run for run in runs if run.options.clips is None]),
        curve=[
            Line(start, {clips: cell_of(group) for clips, group in sorted(by_clips.items())})
            for start, by_clips in _curve(runs).items()
        ],
    )


def cell_of(runs: Sequence[MeasuredRun]) -> Cell:
    """Raises RunError for runs that are not repetitions of one another."""
    _check_repetitions(runs)
    return Cell(tuple(runs))


def _cells(runs: Sequence[MeasuredRun]) -> dict[tuple[str, Fragments], Cell]:
    groups: dict[tuple[str, Fragments], list[MeasuredRun]] = {}
    for run in runs:
        groups.setdefault((run.options.terms, run.options.fragments), []).append(run)
    return {place: cell_of(group) for place, group in groups.items()}


def _curve(runs: Sequence[MeasuredRun]) -> dict[str, dict[int, list[MeasuredRun]]]:
    """Runs that were to learn from some clips only, by how they start and by the number."""
    lines: dict[str, dict[int, list[MeasuredRun]]] = {}
    for run in runs:
        if run.options.clips is not None:
            line = lines.setdefault(start_of(run.options), {})
            line.setdefault(run.options.clips, []).append(run)
    return lines


def start_of(options: RunSpec) -> str:
    """What a run starts from and how it goes on, in words."""
    if options.base is None:
        pretrained = options.extractor is not None
        start = "pre-trained extractors" if pretrained else "random extractors"
    elif options.new_head:
        start = f"extractors of {options.base}, new head"
    else:
        start = f"{options.base} with its head"
    steps = [
        *(["a line"] if options.readout else []),
        *([f"{options.head_epochs} epochs of the head"] if options.head_epochs else []),
        *([f"{options.epochs} epochs end to end"] if options.epochs else []),
    ]
    return f"{start}: {', '.join(steps)}"


def _training_mean(run: MeasuredRun) -> Floats:
    """(N,) points"""
    if run.fold is None:
        training = [
            clip.score
            for folder in run.options.data
            for clip in read_clips(
                run.options.kind, Path(folder), "train", action=run.options.clip.action
            )
        ]
        return np.full(len(run.clips), np.mean(training))
    scores = np.array([clip.score for clip in run.clips])
    return np.array([scores[run.fold != fold].mean() for fold in run.fold])


def _check_same_clips(first: MeasuredRun, run: MeasuredRun) -> None:
    """Raises RunError for runs that were not measured alike, saying what differs."""
    if (first.fold is None) != (run.fold is None):
        folded, other = (first, run) if run.fold is None else (run, first)
        raise RunError(
            f"{folded.path} is measured by cross-validation and {other.path} on the test split:"
            " report them apart"
        )
    differ = f"{first.path} and {run.path} are of the same data, but measured on other"
    clips, others = ({str(clip.path): clip.score for clip in one.clips} for one in (first, run))
    if clips != others:
        odd = sorted(dict(clips.items() ^ others.items()))
        named = ", ".join(Path(path).name for path in odd[:3])
        raise RunError(f"{differ} clips: {len(odd)} differ, as {named}")
    if first.fold is not None and run.fold is not None:
        if first.options.folds != run.options.folds:
            raise RunError(f"{differ} folds: {first.options.folds} and {run.options.folds}")
        if moved := int((first.fold != run.fold).sum()):
            raise RunError(f"{differ} folds: {moved} of {len(clips)} clips are in another")


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
    """By the folder's name; where that is not enough, with the action, or by whole paths."""
    forms = [
        [each.name, f"{each.name}, {each.action}", (paths := " + ".join(each.folders)),
         f"{paths}, {each.kind}, {each.action}"]
        for each in sets
    ]  # fmt: skip
    for each, own in zip(sets, forms, strict=True):
        others = [form for form in forms if form is not own]
        each.name = next(
            name for n, name in enumerate(own) if name not in [form[n] for form in others]
        )


def _set_of(baseline: Baseline, sets: dict[Source, DataSet]) -> DataSet:
    """By its folders, kind and action, or else by the folders' names.

    Raises RunError, also if it is measured otherwise.
    """
    found = _named_set(baseline, sets)
    if baseline.folds != found.folds:
        raise RunError(
            f"baseline {baseline.method} is measured {_in_words(baseline.folds)} of {found.name},"
            f" the runs {_in_words(found.folds)}: report them apart"
        )
    baseline.check_measured_as(found.clips, found.fold, f"the runs of {found.name}")
    return found


def _in_words(folds: int | None) -> str:
    return "on the test split" if folds is None else f"by {folds}-fold cross-validation"


def _named_set(baseline: Baseline, sets: dict[Source, DataSet]) -> DataSet:
    alike = {
        source: data
        for source, data in sets.items()
        if baseline.kind in (None, source.kind) and baseline.action in (None, source.action)
    }
    resolved = _resolved(baseline.data)
    names = [Path(folder).name for folder in baseline.data]
    found = [data for source, data in alike.items() if source.folders == resolved]
    found = found or [  # moved, but the folders have the same names
        data for data in alike.values() if [Path(folder).name for folder in data.folders] == names
    ]
    if len(found) != 1:
        known = ", ".join(each.name for each in sets.values())
        raise RunError(
            f"baseline {baseline.method} is of {' '.join(baseline.data)}, the runs of {known}"
        )
    return found[0]
