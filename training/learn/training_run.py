"""A run of `train` from its options to its line in the results table: clips, training, records."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoint import Checkpoint
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.clip_list import ClipRecord
from training.data.split import Origin
from training.display import bar, warn
from training.distributed import Processes
from training.errors import DataError
from training.learn import cross_validation
from training.learn.cross_validation import HeldOut, held_out
from training.learn.extractor_file import extractor_clips
from training.learn.loggers import MakeLogger
from training.learn.results_table import write_result
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import record_command, summarise, write_summary
from training.learn.tied import have_different_weights
from training.learn.trainer import Precomputed, Trainer
from training.learn.validation import WITH_DIFFICULTY, Figures, in_words, outputs_of, quality
from training.measure.calibration import fit_out_of_fold

FIGURES = ("phase", "epoch", "step", "spearman", "mean_distance", "distance_share")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run of `train` in its folder; with `--folds` a run for each fold, then one on all clips."""

    spec: RunSpec
    out: Path
    base: Checkpoint | None
    """The checkpoint that `spec.base` names."""
    cache: Path | None
    save_every: float
    """Seconds between two saved states."""
    processes: Processes
    restart: bool = False
    """Remove the run that the folder holds, and begin again."""
    loggers: Sequence[MakeLogger] = ()
    """Besides TensorBoard."""

    def train(self) -> Figures:
        """Train, or resume, to the end; the figures of the weights kept."""
        dataset = self._open()
        if self.spec.uses_all:
            return self._cross_validate(dataset)
        return self._train(self.spec, self.out, dataset).figures

    def _cross_validate(self, dataset: ClipDataset) -> Figures:
        """A run for each fold in fold-0 and on, then one on all clips in the folder itself.

        Its intervals come from the folds, and so do the figures.
        """
        run, parts = self.spec, list[FinishedRun]()
        folds = run.folds or 0
        for fold in range(folds):
            part = dataclasses.replace(run, fold=fold)
            precomputed = parts[-1].precomputed if parts else None
            split = dataset.in_fold((fold, folds))
            parts.append(self._train(part, self.out / f"fold-{fold}", split, precomputed))
        trained = not run.readout or trained_is_better(run, [part.figures for part in parts])
        kept = "trained" if trained else "readout"
        whole = self._train(run, self.out, dataset, parts[-1].precomputed, only_begin=not trained)
        figures = whole.figures
        if self.processes.leads:
            held = held_out([(each.dataset, each.folder.load_predictions(kept)) for each in parts])
            pooled = whole.folder.load_predictions("trained")["pooled"][dataset.training]
            figures |= calibrate(run, whole.folder, held, pooled, kept)
        return figures

    def _open(self) -> ClipDataset:
        """The clips, and the folder for them; nothing in it is touched before they are read."""
        run, folder, leads = self.spec, RunFolder(self.out), self.processes.leads

        def begin(clips: Sequence[ClipRecord]) -> None:
            if self.restart and leads:
                folder.restart()
            self._enter(folder, run, clips)

        with self.processes.leader_first(), bar("clips", hidden=not leads) as shown:
            dataset = open_dataset(
                run.data,
                run.clip,
                kind=run.kind,
                target=run.network.target,
                rehearse=run.rehearse,
                validation=run.validation,
                folds=run.folds,
                fold=run.fold,
                origin=origin_of(run, self.base),
                subset=run.subset,
                on_clips=begin,
                cache=self.cache,
                progress=shown.progress("decoding"),
            )
        for note in dataset.notes:
            warn(note)
        if (
            run.tied
            and run.epochs
            and self.base is not None
            and have_different_weights(self.base.network.extractors)
        ):
            warn(f"the extractors of {run.base} differ: all fragments start from their mean")
        return dataset

    def _enter(self, folder: RunFolder, run: RunSpec, clips: Sequence[ClipRecord]) -> None:
        """Begin there, or see that it is this run of these clips."""
        folder.open(run.to_json(), first=self.processes.leads)
        folder.check_clips(clips, first=self.processes.leads)

    def _train(
        self,
        run: RunSpec,
        out: Path,
        dataset: ClipDataset,
        precomputed: Precomputed | None = None,
        *,
        only_begin: bool = False,
    ) -> "FinishedRun":
        """Make the run in `out`; `only_begin` makes no epochs."""
        folder, leads = RunFolder(out), self.processes.leads
        with self.processes.leader_first():
            self._enter(folder, run, dataset.clip_records())
            if leads:
                record_command(folder)
                write_summary(folder, summarise(dataset, run.data, folder, rehearse=run.rehearse))
        trainer = Trainer(
            run,
            dataset,
            folder,
            base=self.base,
            precomputed=precomputed,
            only_begin=only_begin,
            save_every=self.save_every,
            processes=self.processes,
            loggers=self.loggers,
        )
        with bar("steps", hidden=not leads) as shown:
            figures = trainer.train(shown) | {"waiting": trainer.position.waiting}
        if leads:
            clips = {"train": len(dataset.training), "validation": len(dataset.validation)}
            write_result(out, _line(run, clips, figures))
        return FinishedRun(dataset, folder, trainer.precomputed, figures)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that ended."""

    dataset: ClipDataset
    folder: RunFolder
    precomputed: Precomputed
    figures: Figures


def trained_is_better(run: RunSpec, folds: Sequence[Figures]) -> bool:
    """Whether the folds' epochs were worth more than where they began."""
    if not run.epochs + run.head_epochs:
        return False
    mean = partial(quality, in_points=run.regression)
    before = np.mean([mean(each["starting_points"]["readout"]) for each in folds])
    return bool(np.mean([mean(each) for each in folds]) > before)


def calibrate(
    run: RunSpec, folder: RunFolder, held: HeldOut, pooled: NDArray[np.float32], kept: str
) -> Figures:
    """Leave intervals in the folder; the figures of the cross-validation."""
    try:
        confidence, trust = fit_out_of_fold(
            pooled, held.values, outputs=run.network.outputs, factor=held.factor
        )
    except ValueError as error:
        raise DataError(f"intervals: {error}") from error
    figures = cross_validation.figures(held, trust) | {"kept": kept}
    folder.save_cross_validation(figures, confidence)
    return figures


def describe(figures: Figures) -> str:
    """What a run, or a cross-validation, prints when it ends."""
    waiting = f"{figures['waiting']:.1%} of the steps' time was spent waiting for data"
    if "folds" not in figures:
        return f"validation: {in_words(figures)}; {waiting}"
    intervals = ", with the difficulty ".join(
        f"{each['coverage']:.1%} and are {each['interval_width']:.2f} points wide"
        for each in outputs_of(figures)
    )
    return (
        f"{figures['folds']} folds, every clip by a run that had not seen it: {in_words(figures)};"
        f" 90 % intervals hold {intervals}; kept: {figures['kept']}; {waiting}"
    )


def origin_of(run: RunSpec, base: Checkpoint | None) -> Origin | None:
    """What the run's weights start from, and which clips that has seen.   Raises RunError."""
    if base is not None:
        return Origin(base.reference, base.card.clips, base.card.data.trained_on)
    if run.extractor is not None:
        return Origin(run.extractor, extractor_clips(Path(run.extractor)))
    return None


def _line(run: RunSpec, clips: dict[str, int], best: Figures) -> dict[str, object]:
    """Of the results table."""
    known = best.get(WITH_DIFFICULTY, {})
    used = "all" if run.network.fragments_used is None else " ".join(map(str, run.fragments))
    return {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "action": run.clip.action,
        "data": " ".join(run.data),
        "loss": run.terms,
        "alpha": run.alpha,
        "fragments": used,
        "seed": run.seed,
        "fold": "" if run.fold is None else f"{run.fold} of {run.folds}",
        **clips,
        **{name: best.get(name, "") for name in FIGURES},
        "with_difficulty_spearman": known.get("spearman", ""),
        "with_difficulty_distance": known.get("mean_distance", ""),
        "hours": best["hours"],
        "waiting": best["waiting"],
    }
