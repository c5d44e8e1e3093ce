"""
Trains a `FragmentNetwork`: the head on features of frozen extractors first, then everything.

The rule: a step depends on the options, the data and its own number only (random choices are
seeded by it), so a run killed at any moment and started again gives the losses of an
uninterrupted one. The weights kept are those of the best validation; the test split is not
opened.
"""

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from model_store.network import FragmentNetwork
from training.auxiliary import AuxiliaryHeads, TargetScale
from training.display import Bar
from training.errors import RunError
from training.forward import Device
from training.material import Material
from training.metrics import mean_distance, spearman
from training.phases import HeadPhase, Phase, Trainee, WholePhase
from training.run_folder import RunFolder, State, StepLog
from training.runspec import RunSpec
from training.schedule import cosine_factor, steps_factor

COLUMNS = (
    "loss", "regression", "ranking", "alpha", "penalty", "auxiliary", "gradient",
    "extractor_rate", "rate",
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
    """Spent on them."""


class Trainer:
    def __init__(
        self, run: RunSpec, material: Material, folder: RunFolder, *, save_every: float = 60.0
    ) -> None:
        """The state is saved every `save_every` seconds, and after every epoch."""
        self.run, self.folder, self.save_every = run, folder, save_every
        device = Device.best()
        network = new_network(run, material).to(device.kind)
        self.trainee = Trainee(
            run, material, network, new_auxiliary(run, material, network), device
        )
        if self.trainee.auxiliary is not None:
            self.trainee.auxiliary.to(device.kind)
        self.position = Position()
        self.best = -math.inf
        self.validated: dict[str, float] = {}
        self._saved = time.monotonic()

    def train(self, bar: Bar) -> dict[str, Any]:
        """Run, or go on, to the end; the figures of the best validation."""
        state = self.folder.load_state()
        if state is not None:
            self._restore(state)
        done = self.position.step
        with (
            StepLog(self.folder.path / "log.csv", COLUMNS, done) as log,
            SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=done + 1) as board,
        ):
            for number, epochs in enumerate((self.run.head_epochs, self.run.epochs)):
                if number == self.position.phase:
                    if self.position.epoch < epochs:
                        phase: Phase = (
                            WholePhase(self.trainee) if number else HeadPhase(self.trainee, bar)
                        )
                        optimiser = torch.optim.Adam(phase.groups, fused=True)
                        if state is not None and state["optimiser"] is not None:
                            optimiser.load_state_dict(state["optimiser"])
                        self._run(phase, optimiser, log, board, bar)
                    state = None
                    self.position = dataclasses.replace(
                        self.position, phase=number + 1, epoch=0, batch=0
                    )
                    self._save(None)
        return self.folder.load_best()[1]

    def _run(
        self,
        phase: Phase,
        optimiser: torch.optim.Optimizer,
        log: StepLog,
        board: SummaryWriter,
        bar: Bar,
    ) -> None:
        position, total = self.position, phase.epochs * phase.batches
        for epoch in range(position.epoch, phase.epochs):
            title = f"{phase.name} {epoch + 1}/{phase.epochs}"
            begun = asked = time.monotonic()
            for inputs in phase.inputs(epoch, position.batch):
                got = time.monotonic()
                figures = self._step(phase, optimiser, inputs, epoch * phase.batches, total)
                position.step += 1
                position.batch += 1
                log.write(position.step, figures)
                now = time.monotonic()
                position.seconds += now - asked
                speed = {
                    "clips_per_s": len(inputs.clips) / (now - asked),
                    "waiting": (got - asked) / (now - asked),
                }
                for name, value in (figures | speed).items():
                    board.add_scalar(f"step/{name}", value, position.step)
                shown = {name: figures[name] for name in ("loss", "alpha", "rate")}
                done = epoch * phase.batches + position.batch
                bar.update(done, total, phase=title, figures=shown | speed | self.validated)
                if now - self._saved >= self.save_every:
                    self._save(optimiser)
                asked = time.monotonic()
            self._validate(phase, epoch)
            for name, value in self.validated.items():
                board.add_scalar(f"validation/{name}", value, position.step)
            position.seconds += time.monotonic() - asked
            position.epoch, position.batch = epoch + 1, 0
            self._save(optimiser)
            told = {"loss": figures["loss"], "auxiliary": figures["auxiliary"]} | self.validated
            bar.say(
                f"{title}: "
                + "  ".join(f"{name} {value:.4g}" for name, value in told.items())
                + f"  in {time.monotonic() - begun:.0f} s"
            )

    def _step(
        self,
        phase: Phase,
        optimiser: torch.optim.Optimizer,
        inputs: Any,
        before: int,
        total: int,
    ) -> dict[str, float]:
        """One update; the figures of the log. `before` steps of `total` were in earlier epochs."""
        factor = rate_factor(self.run, before + self.position.batch, total)
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * factor
        torch.manual_seed((self.run.seed << 32) + self.position.step)
        outcome = phase.forward(inputs)
        loss = self.run.objective(
            outcome.predicted, outcome.judged, self.trainee.network.parameters()
        )
        total_loss = loss.total + outcome.auxiliary
        optimiser.zero_grad(set_to_none=True)
        total_loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.run.max_gradient or math.inf)
        optimiser.step()
        rates = [group["lr"] for group in optimiser.param_groups]
        figures = {
            "loss": total_loss.item(),
            "regression": loss.regression.item(),
            "ranking": loss.ranking.item(),
            "alpha": loss.alpha.item(),
            "penalty": loss.penalty.item(),
            "auxiliary": outcome.auxiliary.item(),
            "gradient": float(norm),
            "extractor_rate": rates[0] if len(rates) > 1 else 0.0,
            "rate": rates[min(1, len(rates) - 1)],
        }
        if not math.isfinite(figures["loss"]):
            raise RunError(
                f"the loss is {figures['loss']} at step {self.position.step + 1}: lower the"
                " learning rates, or clip gradients (--max-gradient)"
            )
        return figures

    def _validate(self, phase: Phase, epoch: int) -> None:
        """Measure, and keep the weights if they are the best so far."""
        material = self.trainee.material
        judged = material.judged[material.validation]
        predicted = phase.validate()
        self.validated = {
            "spearman": spearman(predicted, judged),
            "mean_distance": mean_distance(predicted, judged),
        }
        if self.validated["spearman"] > self.best:
            self.best = self.validated["spearman"]
            self.folder.save_best(
                self.trainee.network.state_dict(),
                self.validated
                | {
                    "distance_share": self.validated["mean_distance"]
                    / mean_distance([material.mean] * len(judged), judged),
                    "phase": phase.name,
                    "epoch": epoch + 1,
                    "step": self.position.step,
                    "hours": self.position.seconds / 3600,
                },
            )

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
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
        self._saved = time.monotonic()

    def _restore(self, state: State) -> None:
        self.trainee.network.load_state_dict(state["network"])
        if self.trainee.auxiliary is not None:
            self.trainee.auxiliary.load_state_dict(state["auxiliary"])
        self.position = Position(**state["position"])
        self.best = state["best"]


def new_network(run: RunSpec, material: Material) -> FragmentNetwork:
    """Initialised by the run's seed, around the mean of the training scores."""
    torch.manual_seed(run.seed)
    network = FragmentNetwork(run.network, run.clip)
    network.head.baseline.fill_(material.mean)
    with torch.no_grad():
        network.head.out.weight.mul_(OUTPUT_SCALE * material.deviation)
    if run.extractor is not None:
        load_extractor(network, Path(run.extractor))
    return network


def load_extractor(network: FragmentNetwork, path: Path) -> None:
    """Copy one pre-trained extractor into every fragment.   Raises RunError."""
    try:
        weights = load_file(path)
        for extractor in network.extractors:
            extractor.load_state_dict(weights)
    except (OSError, ValueError, RuntimeError) as error:
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
