"""
Trains a `FragmentNetwork`: the head on features of frozen extractors first, then everything.

The rule: a step depends on the options, the data and its own number only (random choices are
seeded by it), so a run killed at any moment and started again gives the losses of an
uninterrupted one. The weights kept are those of the best validation, which is the highest
Spearman minus share of always-the-mean's distance; the test split is not opened. Of several
processes the first one validates, and writes all files.
"""

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model_store.checkpoint import Checkpoint
from model_store.network import FragmentNetwork
from training.arithmetic import trusted_device
from training.auxiliary import AuxiliaryHeads, TargetScale
from training.display import Bar
from training.distributed import ALONE, Processes
from training.errors import RunError
from training.extractor_file import read_extractor
from training.head_phase import HeadPhase
from training.material import Material
from training.metrics import mean_distance, spearman
from training.record import NoRecord, Record
from training.run_folder import RunFolder, State
from training.runspec import RunSpec
from training.schedule import cosine_factor, steps_factor
from training.step import Step, grouped
from training.trainee import Phase, Trainee
from training.whole_phase import WholePhase

COLUMNS = (
    "loss", "regression", "ranking", "alpha", "penalty", "auxiliary", "pairs",
    "gradient", "extractor_rate", "rate",
)  # fmt: skip
COSINE_END = 0.01
OUTPUT_SCALE = 0.5  # of the scores' deviation: how far the first predictions stray


@dataclass(slots=True)
class Position:
    """The next step to make."""

    phase: int = 0
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
        save_every: float = 60.0,
        processes: Processes = ALONE,
    ) -> None:
        """`base` is the checkpoint that `run.base` names.

        The state is saved every `save_every` seconds, and after every epoch.
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
        self.position = Position()
        self.best = -math.inf
        self._saved = time.monotonic()

    def train(self, bar: Bar) -> dict[str, Any]:
        """Run, or go on, to the end; the figures of the best validation."""
        state = self.folder.load_state()
        if state is not None:
            self._restore(state)
        self.processes.wait()  # before the first one saves another state
        with self._record(bar) as record:
            for number, epochs in enumerate((self.run.head_epochs, self.run.epochs)):
                if number < self.position.phase:
                    continue
                if self.position.epoch < epochs:
                    phase: Phase = (
                        WholePhase(self.trainee) if number else HeadPhase(self.trainee, bar)
                    )
                    optimiser = torch.optim.Adam(phase.groups, fused=True)
                    if state is not None and state["optimiser"] is not None:
                        optimiser.load_state_dict(state["optimiser"])
                    self._phase(phase, optimiser, record)
                state = None
                self.position = dataclasses.replace(
                    self.position, phase=number + 1, epoch=0, batch=0
                )
                self._save(None)
        self.processes.wait()
        return self.folder.load_best()[1]

    def _record(self, bar: Bar) -> Record | NoRecord:
        if not self.processes.leads:
            return NoRecord()
        return Record(self.folder.path, COLUMNS, self.position.step, bar)

    def _phase(
        self, phase: Phase, optimiser: torch.optim.Optimizer, record: Record | NoRecord
    ) -> None:
        step = Step(self.trainee, phase, optimiser)
        for epoch in range(self.position.epoch, phase.epochs):
            begun = time.monotonic()
            self._epoch(phase, epoch, step, record)
            if self.processes.leads:
                validated = self._validate(phase, epoch)
                title = f"{phase.name} {epoch + 1}/{phase.epochs}"
                record.epoch(self.position.step, title, validated, time.monotonic() - begun)
            self.position.epoch, self.position.batch = epoch + 1, 0
            self._save(optimiser)

    def _epoch(self, phase: Phase, epoch: int, step: Step, record: Record | NoRecord) -> None:
        position, total = self.position, phase.epochs * phase.batches
        title = f"{phase.name} {epoch + 1}/{phase.epochs}"
        inputs = phase.inputs(epoch, position.batch * phase.accumulate)
        asked = time.monotonic()
        for parts in grouped(inputs, phase.accumulate):
            got = time.monotonic()
            done = epoch * phase.batches + position.batch
            figures = step(parts, position.step, rate_factor(self.run, done, total))
            position.step += 1
            position.batch += 1
            now = time.monotonic()
            spent = now - asked
            position.seconds += spent
            position.waited += got - asked
            clips = sum(len(part.clips) for part in parts) * phase.processes.count
            speed = {"clips_per_s": clips / spent, "waiting": (got - asked) / spent}
            record.step(position.step, figures, speed)
            shown = {name: figures[name] for name in ("loss", "alpha", "rate")}
            record.show(done + 1, total, title, shown | speed)
            if now - self._saved >= self.save_every:
                self._save(step.optimiser)
            asked = time.monotonic()

    def _validate(self, phase: Phase, epoch: int) -> dict[str, float]:
        """Measure, and keep the weights if they are the best so far."""
        material = self.trainee.material
        judged = material.judged[material.validation]
        predicted = phase.validate()
        distance = mean_distance(predicted, judged)
        always_mean = mean_distance([material.mean] * len(judged), judged)
        validated = {"spearman": spearman(predicted, judged), "mean_distance": distance}
        if always_mean > 0:
            validated["distance_share"] = distance / always_mean
        quality = validated["spearman"]
        if self.run.regression:  # a score that is only to rank is in no unit
            quality -= validated.get("distance_share", 0.0)
        if quality > self.best:
            self.best = quality
            self.folder.save_best(
                self.trainee.network.state_dict(),
                validated
                | {
                    "phase": phase.name,
                    "epoch": epoch + 1,
                    "step": self.position.step,
                    "hours": self.position.seconds / 3600,
                },
            )
        return validated

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
                "position": dataclasses.asdict(self.position),
                "seconds": self.position.seconds,
                "best": self.best,
            }
        )

    def _restore(self, state: State) -> None:
        self.trainee.network.load_state_dict(state["network"])
        if self.trainee.auxiliary is not None:
            self.trainee.auxiliary.load_state_dict(state["auxiliary"])
        self.position = Position(**state["position"])
        self.best = state["best"]


def new_network(
    run: RunSpec, material: Material, base: Checkpoint | None = None
) -> FragmentNetwork:
    """Initialised by the run's seed, around the mean of the training scores; or as `base`."""
    torch.manual_seed(run.seed)
    network = FragmentNetwork(run.network, run.clip)
    network.head.baseline.fill_(material.mean)
    with torch.no_grad():
        network.head.out.weight.mul_(OUTPUT_SCALE * material.deviation)
    if run.extractor is not None:
        load_extractor(network, Path(run.extractor))
    if base is not None:
        load_base(network, base, new_head=run.new_head)
    return network


def load_base(network: FragmentNetwork, base: Checkpoint, *, new_head: bool = False) -> None:
    """Begin with the weights of a published checkpoint, or of its extractors.   Raises RunError."""
    name = f"{base.name}@{base.version}"
    if base.spec != network.clip_spec:
        raise RunError(f"{name} sees clips of {base.spec}, the run {network.clip_spec}")
    try:
        if new_head:
            theirs = dict(zip(base.network.used, base.network.extractors, strict=True))
            for k, extractor in zip(network.used, network.extractors, strict=True):
                extractor.load_state_dict(theirs[k].state_dict())
        else:
            network.load_state_dict(base.network.state_dict())
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
        return steps_factor(step, run.decay, run.decay_every)
    return cosine_factor(step, steps, warmup=run.warmup, end=COSINE_END)
