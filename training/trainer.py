"""
Trains a `FragmentNetwork`: the head's linear path in closed form, the head on features of frozen
extractors, then everything; each of them if the options ask for it.

The rule: a step depends on the options, the data and its own number only (random choices are
seeded by it), so a run killed at any moment and started again gives the losses of an
uninterrupted one. The weights kept are the mean of those of the last steps, whatever the
validation clips say of single epochs; the test split is not opened. Of several processes the
first one validates, and writes all files.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from model_store.checkpoint import Checkpoint
from model_store.network import FragmentNetwork
from training.arithmetic import trusted_device
from training.auxiliary import AuxiliaryHeads, TargetScale
from training.display import Bar
from training.distributed import ALONE, Processes
from training.errors import RunError
from training.examination import examine
from training.extractor_file import read_extractor
from training.frozen_features import FrozenFeatures, measure
from training.head_phase import HeadPhase
from training.health import Health, Seen, advice
from training.material import Material
from training.record import NoRecord, Record
from training.run_folder import RunFolder, State
from training.runspec import RunSpec
from training.schedule import cosine_factor, rising_factor, steps_factor
from training.starting_point import begin
from training.step import Step, grouped
from training.trainee import Phase, Trainee
from training.validation import Figures, agreement, in_words, quality
from training.whole_phase import WholePhase

COLUMNS = (
    "loss", "regression", "ranking", "alpha", "penalty", "auxiliary", "pairs",
    "gradient", "extractor_rate", "rate",
)  # fmt: skip
COSINE_END = 0.01
READOUT = "head.readout"
BEGINNINGS = {
    "base": "base, brought to the scale of these scores",
    "ridge": "ridge regression on the extractors' features",
    "readout": "readout fitted to them, beside the base's head where that helps",
}
OUTPUT_SCALE = 0.5  # of the scores' deviation: how far the first predictions stray


@dataclass(slots=True)
class Position:
    """The next step to make."""

    phase: int = 0
    """0 before the starting point is found, 1 for the head alone, 2 for the whole network."""
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


class Trainer:
    def __init__(
        self,
        run: RunSpec,
        material: Material,
        folder: RunFolder,
        *,
        base: Checkpoint | None = None,
        frozen: FrozenFeatures | None = None,
        save_every: float = 60.0,
        processes: Processes = ALONE,
    ) -> None:
        """`base` is the checkpoint that `run.base` names.

        `frozen` are the features of these clips by the extractors that the run begins with, where
        another run has them already. The state is saved every `save_every` seconds, and after
        every epoch.
        """
        self.run, self.folder, self.save_every = run, folder, save_every
        self.processes = processes
        network = new_network(run, material, base)
        device = trusted_device(run.precision, network.extractors[0], run.clip, run.batch)
        network.to(device.kind)
        auxiliary = new_auxiliary(run, material, network)
        if auxiliary is not None:
            auxiliary.to(device.kind)
        self.trainee = Trainee(run, material, network, auxiliary, device, processes)
        self.position, self.health = Position(), Health(material.deviation, advice(run))
        self.starting_points: dict[str, Figures] = {}
        """Validation figures of what was to be had without training, see `starting_point`."""
        self.frozen = frozen
        self._mean: AveragedModel | None = None
        """Of the weights of the last steps of a phase, while there is one."""
        self._saved = time.monotonic()

    def train(self, bar: Bar) -> dict[str, Any]:
        """Run, or go on, to the end; the figures of the weights that are kept."""
        state = self.folder.load_state()
        if state is not None:
            self._restore(state)
        self.processes.wait()  # before the first one saves another state
        if self.position.phase == 0:
            self._begin(bar)
        with self._record(bar) as record:
            for number, epochs in ((1, self.run.head_epochs), (2, self.run.epochs)):
                if number < self.position.phase:
                    continue
                if epochs:
                    self._phase(self._new_phase(number, bar), state, record)
                state = None
                self.position = dataclasses.replace(
                    self.position, phase=number + 1, epoch=0, batch=0
                )
                self._save(None)
        self._examine("trained", bar)
        self.processes.wait()
        return self.folder.load_weights()[1]

    def features(self, bar: Bar) -> FrozenFeatures:
        """Of all clips by the extractors that the run begins with."""
        if self.frozen is None:
            taught = self.run.readout or self.run.head_epochs
            self.frozen = measure(self.trainee, self.run.head_variants if taught else 1, bar)
        return self.frozen

    def _new_phase(self, number: int, bar: Bar) -> Phase:
        if number == 1:
            return HeadPhase(self.trainee, self.features(bar))
        return WholePhase(self.trainee)

    def _begin(self, bar: Bar) -> None:
        """Find the starting point, and keep it: of a run without epochs it is the result."""
        if self.run.base or self.run.extractor:
            self.starting_points = begin(self.trainee, self.features(bar))
        if self.processes.leads:
            for name, figures in self.starting_points.items():
                bar.say(f"{BEGINNINGS[name]}: {in_words(figures)}")
            if self.run.readout:
                self._keep("readout", 0, self.starting_points.get("readout", {}))
                self._examine("readout", bar)
        self.position.phase = 1
        self._save(None)

    def _record(self, bar: Bar) -> Record | NoRecord:
        if not self.processes.leads:
            return NoRecord()
        return Record(self.folder.path, COLUMNS, self.position.step, bar)

    def _phase(self, phase: Phase, state: State | None, record: Record | NoRecord) -> None:
        optimiser = torch.optim.Adam(phase.groups, fused=True)
        self._mean = mean = AveragedModel(self.trainee.network, use_buffers=True)
        if state is not None and state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
            mean.load_state_dict(state["mean"])
        step = Step(self.trainee, phase, optimiser)
        for epoch in range(self.position.epoch, phase.epochs):
            begun = time.monotonic()
            self._epoch(phase, epoch, step, record)
            with self.processes.end_together():
                if self.processes.leads:
                    figures = self._measure(phase, epoch)
                    title = f"{phase.name} {epoch + 1}/{phase.epochs}"
                    record.epoch(self.position.step, title, figures, time.monotonic() - begun)
            self.position.epoch, self.position.batch = epoch + 1, 0
            self._save(optimiser)
        self.trainee.network.load_state_dict(mean.module.state_dict())
        self._mean = None

    def _epoch(self, phase: Phase, epoch: int, step: Step, record: Record | NoRecord) -> None:
        position, total = self.position, phase.epochs * phase.batches
        averaged_from = total - math.ceil(self.run.average * total)
        title = f"{phase.name} {epoch + 1}/{phase.epochs}"
        inputs = phase.inputs(epoch, position.batch * phase.accumulate)
        asked = time.monotonic()
        for parts in grouped(inputs, phase.accumulate):
            got = time.monotonic()
            done = epoch * phase.batches + position.batch
            figures = step(parts, position.step, rate_factor(self.run, done, total))
            if self._mean is not None and done >= averaged_from:
                self._mean.update_parameters(self.trainee.network)
            position.step += 1
            position.batch += 1
            now = time.monotonic()
            spent = now - asked
            position.seconds += spent
            position.waited += got - asked
            clips = sum(len(part.clips) for part in parts) * phase.processes.count
            speed = {"clips_per_s": clips / spent, "waiting": (got - asked) / spent}
            record.step(position.step, figures, speed)
            self.health.after_step(position.step, figures)
            latest = {name: figures[name] for name in ("loss", "alpha", "rate")}
            record.show(done + 1, total, title, latest | speed)
            if now - self._saved >= self.save_every:
                self._save(step.optimiser)
            asked = time.monotonic()

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """With the mean weights in the network, once there are some."""
        if self._mean is None or not self._mean.n_averaged:
            yield
            return
        network = self.trainee.network
        latest = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self._mean.module.state_dict())
        try:
            yield
        finally:
            network.load_state_dict(latest)

    def _measure(self, phase: Phase, epoch: int) -> Figures:
        """Figures of the weights that are to be kept, which are then kept."""
        last = epoch + 1 == phase.epochs
        with self._averaged():
            figures: Figures = {}
            if len(self.trainee.material.validation):
                predicted = phase.validate()
                self.health.after_validation(self.position.step, predicted, last=last)
                figures = agreement(predicted, self.trainee.material)
            if last or not self.run.readout:
                self._keep(phase.name, epoch + 1, figures)
        return figures

    def _keep(self, phase: str, epoch: int, figures: Figures) -> None:
        """Make the network's weights those of the run.

        Not where its starting point is better on the validation clips; a fold of a
        cross-validation keeps what it trained, for the folds are compared together.
        """
        before = self.starting_points.get("readout")
        if epoch and before and self.run.fold is None and not self._better(figures, before):
            return
        self.folder.save_weights(
            self.trainee.network.state_dict(),
            figures
            | {
                "phase": phase,
                "epoch": epoch,
                "step": self.position.step,
                "hours": self.position.seconds / 3600,
                "starting_points": self.starting_points,
            },
        )

    def _better(self, figures: Figures, before: Figures) -> bool:
        in_points = self.run.regression
        return quality(figures, in_points=in_points) > quality(before, in_points=in_points)

    def _examine(self, name: str, bar: Bar) -> None:
        """Leave what the network makes of all clips in the folder, for a cross-validation."""
        if self.run.folds is None or not self.processes.leads or self.folder.has_examined(name):
            return
        unchanged = self.position.phase < 2 or not self.run.epochs
        features = self.features(bar).features[0] if unchanged else None
        examined = examine(self.trainee, bar, features)
        self.folder.save_examined(name, dataclasses.asdict(examined))

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        self._saved = time.monotonic()
        if not self.processes.leads:
            return
        auxiliary = self.trainee.auxiliary
        self.folder.save_state(
            {
                "network": self.trainee.network.state_dict(),
                "auxiliary": None if auxiliary is None else auxiliary.state_dict(),
                "optimiser": None if optimiser is None else optimiser.state_dict(),
                "mean": None if self._mean is None else self._mean.state_dict(),
                "position": dataclasses.asdict(self.position),
                "seconds": self.position.seconds,
                "starting_points": self.starting_points,
                "health": dataclasses.asdict(self.health.seen),
            }
        )

    def _restore(self, state: State) -> None:
        self.trainee.network.load_state_dict(state["network"])
        if self.trainee.auxiliary is not None:
            self.trainee.auxiliary.load_state_dict(state["auxiliary"])
        self.position = Position(**state["position"])
        self.starting_points = state["starting_points"]
        self.health.seen = Seen(**state["health"])


def new_network(
    run: RunSpec, material: Material, base: Checkpoint | None = None
) -> FragmentNetwork:
    """Initialised by the run's seed, around the mean of the training scores; or as `base`."""
    torch.manual_seed(run.seed)
    network = FragmentNetwork(run.network, run.clip)
    network.head.baseline.fill_(material.mean)
    with torch.no_grad():
        # Each of two dropouts divides what it keeps by its share, and so raises the variance by it.
        kept = 1 - run.network.dropout
        network.head.out.weight.mul_(OUTPUT_SCALE * material.deviation * kept)
    if run.extractor is not None:
        load_extractor(network, Path(run.extractor))
    if base is not None:
        load_base(network, base, new_head=run.new_head)
    return network


def load_base(network: FragmentNetwork, base: Checkpoint, *, new_head: bool = False) -> None:
    """Begin with the weights of a published checkpoint, or of its extractors.   Raises RunError.

    Where only the network has a linear path beside the head's layers, it begins at 0.
    """
    name = f"{base.name}@{base.version}"
    if base.spec != network.clip_spec:
        raise RunError(f"{name} sees clips of {base.spec}, the run {network.clip_spec}")
    try:
        if new_head:
            theirs = dict(zip(base.network.used, base.network.extractors, strict=True))
            for k, extractor in zip(network.used, network.extractors, strict=True):
                extractor.load_state_dict(theirs[k].state_dict())
        else:
            weights = base.network.state_dict()
            if network.head.readout is not None:
                weights.setdefault(READOUT, torch.zeros_like(network.head.readout))
            network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise RunError(f"{name} is another network: {error}") from error


def load_extractor(network: FragmentNetwork, path: Path) -> None:
    """Copy one pre-trained extractor into every fragment.   Raises RunError."""
    weights = read_extractor(path)
    try:
        for extractor in network.extractors:
            extractor.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{path} is not an extractor of this network: {error}") from error


def new_auxiliary(
    run: RunSpec, material: Material, network: FragmentNetwork
) -> AuxiliaryHeads | None:
    if not run.auxiliary:
        return None
    torch.manual_seed(run.seed + 1)
    scale = TargetScale.measure(material.targets, material.training, run.seed)
    return AuxiliaryHeads(len(network.used), network.fragment_feature_shape, scale)


def rate_factor(run: RunSpec, step: int, steps: int) -> float:
    """What both learning rates are multiplied by at a step of a phase."""
    if run.schedule == "steps":
        rise = rising_factor(step, steps, run.warmup)
        return rise * steps_factor(step, run.decay, run.decay_every)
    return cosine_factor(step, steps, warmup=run.warmup, end=COSINE_END)
