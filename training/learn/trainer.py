"""
Trains a `FragmentNetwork`: the head's linear path in closed form, the head on features of frozen
extractors, then everything; each of them if the options ask for it.

The rule: a step depends on the options, the data and its own number only (random choices are
seeded by it), so a run killed at any moment and started again gives the losses of an
uninterrupted one. The weights kept are the mean of those of the last steps, not those of the
epoch with the best validation; the test split is not opened. Of several processes the first one
validates, and writes all files.

On a GPU a resumed run draws the same batches and looks as well, but the GPU adds numbers in another
order each time: its losses are equal to those of an uninterrupted run but for rounding. The clips
lie in the GPU's memory where they fit, and figures of a step are read when the next one is queued.
"""

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_store.checkpoint import Checkpoint
from model_store.network import FragmentNetwork
from training.choices import Precision
from training.data.batches import grouped
from training.data.clip_dataset import ClipDataset
from training.data.resident_clips import ResidentClips
from training.display import Bar
from training.distributed import ALONE, Processes
from training.learn.device_figures import STEPS_QUEUED
from training.learn.first_weights import bring_to_scale, new_auxiliary, new_network
from training.learn.forward import Device
from training.learn.frozen_features import FrozenFeatures, compute_features
from training.learn.head_phase import HeadPhase
from training.learn.health import Health, HealthState, advice
from training.learn.learner import Learner, Phase
from training.learn.loggers import Loggers, MakeLogger
from training.learn.run_device import device_of_run
from training.learn.run_folder import RunFolder, State
from training.learn.run_spec import RunSpec
from training.learn.schedule import rate_factor
from training.learn.starting_point import fit_starting_point
from training.learn.training_log import TrainingLog
from training.learn.training_step import Begun, TrainingStep, read_until
from training.learn.validation import Figures, agreement, announced, flat, in_words, surely_better
from training.learn.weight_average import WeightAverage
from training.learn.whole_phase import WholePhase

COLUMNS = (
    "loss", "regression", "ranking", "alpha", "penalty", "auxiliary", "pairs",
    "gradient", "extractor_rate", "rate",
)  # fmt: skip
BEGINNINGS = {
    "base": "base, brought to the scale of these scores",
    "ridge": "ridge regression on the extractors' features",
    "readout": "readout fitted to them, beside the base's head where that helps",
}


@dataclass(slots=True)
class Position:
    """The next step to make."""

    phase: int = 0
    """0 before the starting point is found, 1 for the head alone, 2 for the whole network, 3 when
    both are trained, 4 when nothing is left to do."""
    epoch: int = 0
    batch: int = 0
    step: int = 0
    """Steps made, over all phases."""
    seconds: float = 0.0
    """Spent on them, and of these:"""
    waited: float = 0.0
    """Seconds without data to work on."""

    @property
    def waiting(self) -> float:
        """Share of the steps' time."""
        return self.waited / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Precomputed:
    """Results that all runs of the same clips and extractors share, as the folds do."""

    precision: Precision
    """One that agrees with float32 on this machine."""
    frozen: FrozenFeatures | None
    """What the extractors make of the clips; None where that was not needed yet."""
    resident: ResidentClips | None = None
    """The clips on a GPU."""


class Trainer:
    def __init__(
        self,
        run: RunSpec,
        dataset: ClipDataset,
        folder: RunFolder,
        *,
        base: Checkpoint | None = None,
        precomputed: "Precomputed | None" = None,
        only_begin: bool = False,
        save_every: float = 60.0,
        processes: Processes = ALONE,
        loggers: Sequence[MakeLogger] = (),
    ) -> None:
        """`base` is the checkpoint that `run.base` names.

        `precomputed` comes from another run of the same clips and extractors. With `only_begin` the
        starting point is kept, and no epoch made. The state is saved every `save_every` seconds;
        state and weights after epochs, if that is so long ago, and after the last one of a phase.
        """
        self.run, self.folder, self.save_every = run, folder, save_every
        self._loggers = loggers
        self.dataset, self.processes, self._only_begin = dataset, processes, only_begin
        self._state = folder.load_state("precision", "starting_predictions", "kept")
        network = new_network(run, dataset, base)
        precision = run.precision if precomputed is None else precomputed.precision
        device = self._device(network, precision)
        network.to(device.kind)
        auxiliary = new_auxiliary(run, dataset, network)
        if auxiliary is not None:
            auxiliary.to(device.kind)
        resident = None if precomputed is None else precomputed.resident
        if resident is None:
            resident = ResidentClips.where_they_fit(dataset.cache, device.kind)
        self.learner = Learner(run, dataset, network, auxiliary, device, processes, resident)
        self.position, self.health = Position(), Health(dataset.deviations, advice(run))
        self.starting_predictions: dict[str, Tensor] = {}
        """Predictions for the validation clips without training: see `starting_point`."""
        self.kept: Tensor | None = None
        """Predictions for the validation clips by the weights in the folder."""
        self.frozen = None if precomputed is None else precomputed.frozen
        self._mean: WeightAverage | None = None
        """Of a phase, while there is one."""
        self._saved = time.monotonic()

    def _device(self, network: FragmentNetwork, precision: Precision) -> Device:
        """In the precision that the run began with."""
        if self._state is not None:
            precision = self._state["precision"]
            if Position(**self._state["position"]).phase == 4:
                return Device.best(precision)
        whole = 2 in self._phases
        return device_of_run(
            precision, self.run, self.dataset, network, self.processes, has_whole_phase=whole
        )

    def train(self, bar: Bar) -> dict[str, Any]:
        """Run, or go on, to the end; the figures of the weights that are kept."""
        state, self._state = self._state, None
        if state is not None:
            self._restore(state)
        self.processes.wait()  # before the first one saves another state
        if self.position.phase == 0:
            self._begin(bar)
        with self._log(bar) as log:
            for number in range(self.position.phase, 3):
                if number in self._phases:
                    self._phase(self._new_phase(number, bar), state, log, bar)
                state = None
                self._go_on_to(number + 1)
        if self.position.phase == 3:
            self._predict_all("trained", bar)
            self._go_on_to(4)
        self.processes.wait()
        return self.folder.load_weights()[1]

    def _go_on_to(self, phase: int) -> None:
        self.position = dataclasses.replace(self.position, phase=phase, epoch=0, batch=0)
        self._save(None)

    @property
    def precomputed(self) -> "Precomputed":
        learner = self.learner
        return Precomputed(learner.device.precision, self.frozen, learner.resident)

    def features(self, bar: Bar) -> FrozenFeatures:
        """Of all clips by the extractors that the run begins with."""
        if self.frozen is None:
            taught = self.run.readout or self.run.head_epochs
            self.frozen = compute_features(
                self.learner, self.run.head_variants if taught else 1, bar
            )
        return self.frozen

    @property
    def _phases(self) -> set[int]:
        """Those that have epochs, numbered as in `Position`."""
        if self._only_begin:
            return set()
        epochs = {1: self.run.head_epochs, 2: self.run.epochs}
        return {number for number, asked in epochs.items() if asked}

    @property
    def starting_points(self) -> dict[str, Figures]:
        """Figures of `starting_predictions`; none where no clips validate."""
        dataset = self.dataset
        there = self.starting_predictions if len(dataset.validation) else {}
        return {name: agreement(predicted.numpy(), dataset) for name, predicted in there.items()}

    def _new_phase(self, number: int, bar: Bar) -> Phase:
        if number == 1:
            return HeadPhase(self.learner, self.features(bar))
        return WholePhase(self.learner)

    def _begin(self, bar: Bar) -> None:
        """Find the starting point, and keep it: of a run without epochs it is the result."""
        if self.run.base or self.run.extractor or self.run.readout:
            self.starting_predictions = fit_starting_point(self.learner, self.features(bar))
        if not self.run.has_base_head and not self.run.readout:
            bring_to_scale(self.learner, self._new_phase(min(self._phases), bar))
        if self.processes.leads:
            for name, figures in self.starting_points.items():
                bar.log(f"{BEGINNINGS[name]}: {in_words(figures)}")
            if self.run.readout:
                self.kept = self.starting_predictions["readout"]
                self._keep("readout", 0, self.starting_points.get("readout", {}))
                self._predict_all("readout", bar)
        self._go_on_to(1)

    def _log(self, bar: Bar) -> contextlib.AbstractContextManager[TrainingLog | None]:
        if not self.processes.leads:
            return contextlib.nullcontext()
        path, last = self.folder.path, self.position.step
        loggers = Loggers(path, self.run.to_json(), last, self._loggers)
        return TrainingLog(path, COLUMNS, last, bar, loggers)

    def _phase(self, phase: Phase, state: State | None, log: TrainingLog | None, bar: Bar) -> None:
        optimiser = torch.optim.Adam(phase.groups, fused=True)
        self._mean = mean = WeightAverage(self.learner.network)
        if state is not None and state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
            mean.load_state_dict(state["mean"])
        step = TrainingStep(self.learner, phase, optimiser)
        kept = time.monotonic()
        for epoch in range(self.position.epoch, phase.epochs):
            begun = time.monotonic()
            self._epoch(phase, epoch, step, mean, log)
            # On a GPU an epoch may take less time than it takes to write the weights.
            due = epoch + 1 == phase.epochs or time.monotonic() - kept >= self.save_every
            with self.processes.end_together():
                if log is not None:
                    with mean.in_network():
                        figures = self._measure(phase, epoch, bar, keep=due)
                    title = f"{phase.name} {epoch + 1}/{phase.epochs}"
                    log.epoch(self.position.step, title, flat(figures), time.monotonic() - begun)
            self.position.epoch, self.position.batch = epoch + 1, 0
            if due:
                self._save(optimiser)
                kept = time.monotonic()
        mean.put_into_network()
        self._mean = None

    def _epoch(
        self,
        phase: Phase,
        epoch: int,
        step: TrainingStep,
        mean: WeightAverage,
        log: TrainingLog | None,
    ) -> None:
        position, total = self.position, phase.epochs * phase.steps
        averaged_from = total - math.ceil(self.run.average * total)
        title = f"{phase.name} {epoch + 1}/{phase.epochs}"
        micro_batches = phase.micro_batches(epoch, position.batch * phase.accumulate)
        queued = STEPS_QUEUED[self.learner.device.kind]
        begun: Begun = deque()
        speed: dict[str, float] = {}

        def note(made: Sequence[tuple[int, int, dict[str, float]]]) -> None:
            for number, finished, figures in made:
                if log is not None:
                    log.step(number, figures, speed)
                    latest = {name: figures[name] for name in ("loss", "alpha", "rate")}
                    log.show(finished, total, title, latest | speed)
                self.health.after_step(number, figures)

        asked = time.monotonic()
        for batches in grouped(micro_batches, phase.accumulate):
            got = time.monotonic()
            done = epoch * phase.steps + position.batch
            made = step.begin(batches, position.step, rate_factor(self.run, done, total))
            if done >= averaged_from:
                mean.update()
            position.step += 1
            position.batch += 1
            begun.append((position.step, done + 1, made))
            read = read_until(begun, queued)
            now = time.monotonic()
            spent = now - asked
            position.seconds += spent
            position.waited += got - asked
            clips = sum(len(batch.clips) for batch in batches) * phase.processes.count
            speed = {"clips_per_s": clips / spent, "waiting": (got - asked) / spent}
            note(read)
            if now - self._saved >= self.save_every:
                note(read_until(begun, 0))
                self._save(step.optimiser)
            asked = time.monotonic()
        note(read_until(begun, 0))

    def _measure(self, phase: Phase, epoch: int, bar: Bar, *, keep: bool) -> Figures:
        """Figures of the mean weights, which are then kept, if they are to be."""
        last, dataset = epoch + 1 == phase.epochs, self.dataset
        figures: Figures = {}
        if len(dataset.validation):
            predictions = phase.predict(dataset.validation)
            figures = agreement(predictions.whole, dataset)
        elif last:  # a run on all clips can die as well
            predictions = phase.predict(dataset.training)
        if last or figures:
            # A readout would hide a dead head; one that it has left out is 0 on purpose.
            head_is_unused = not self.learner.network.head.out.weight.any()
            answers = predictions.whole if head_is_unused else predictions.head
            self.health.after_validation(self.position.step, answers, last=last)
        if last and self._is_no_better(predictions.whole):
            bar.log(
                f"{phase.name}: on {len(dataset.validation)} validation clips not surely"
                " better than what was there before, which is kept (--folds would know more)"
            )
        elif last or (keep and not self.run.readout):
            self.kept = torch.from_numpy(predictions.whole) if figures else None
            self._keep(phase.name, epoch + 1, figures)
        return figures

    def _is_no_better(self, predicted: NDArray[np.float32]) -> bool:
        """Than what is kept so far, by what it predicts for the validation clips.

        A cross-validation compares its folds together, and a run without a readout has nothing to
        fall back on.
        """
        dataset, run = self.dataset, self.run
        if not run.readout or run.folds is not None or self.kept is None:
            return False
        judged = dataset.judged[dataset.validation]
        after, before = (announced(each, dataset) for each in (predicted, self.kept.numpy()))
        return not surely_better(after, before, judged, in_points=run.regression)

    def _keep(self, phase: str, epoch: int, figures: Figures) -> None:
        """Make the network's weights those of the run."""
        self.folder.save_weights(
            self.learner.network.state_dict(),
            figures
            | {
                "phase": phase,
                "epoch": epoch,
                "step": self.position.step,
                "hours": self.position.seconds / 3600,
                "starting_points": self.starting_points,
            },
        )

    def _predict_all(self, name: str, bar: Bar) -> None:
        """Save predictions for all clips in the folder, for a cross-validation."""
        if self.run.folds is None or not self.processes.leads:
            return
        unchanged = self.position.phase < 2 or 2 not in self._phases
        predictions = self._new_phase(1 if unchanged else 2, bar).predict(
            np.arange(len(self.dataset.clips))
        )
        arrays = {"predicted": predictions.whole, "pooled": predictions.pooled}
        self.folder.save_predictions(name, arrays)

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        self._saved = time.monotonic()
        if not self.processes.leads:
            return
        auxiliary = self.learner.auxiliary
        self.folder.save_state(
            {
                "network": self.learner.network.state_dict(),
                "auxiliary": None if auxiliary is None else auxiliary.state_dict(),
                "optimiser": None if optimiser is None else optimiser.state_dict(),
                "mean": None if self._mean is None else self._mean.state_dict(),
                "precision": self.learner.device.precision,
                "position": dataclasses.asdict(self.position),
                "seconds": self.position.seconds,
                "starting_predictions": self.starting_predictions,
                "kept": self.kept,
                "health": dataclasses.asdict(self.health.state),
            }
        )

    def _restore(self, state: State) -> None:
        self.learner.network.load_state_dict(state["network"])
        if self.learner.auxiliary is not None:
            self.learner.auxiliary.load_state_dict(state["auxiliary"])
        self.position = Position(**state["position"])
        self.starting_predictions, self.kept = state["starting_predictions"], state["kept"]
        self.health.state = HealthState(**state["health"])
