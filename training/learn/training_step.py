"""
One update of the weights: features, scores, loss, gradient, optimiser; in one process or several.

The rule: the loss of a micro-batch is over the clips that all processes have of it, so the
ranking loss and counterfactual pairs reach across processes but not across micro-batches;
gradients are averaged over both.

On a GPU the host does not wait for a step: `begin` returns when its work is queued.

Shapes: B clips of a micro-batch in a process, N in all processes, K fragments used, O outputs of
the network, J targets of a fragment.
"""

import contextlib
import math
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.data.batches import Batch
from training.learn.device_figures import DeviceFigures
from training.learn.forward import join
from training.learn.head_phase import FeatureBatch
from training.learn.learner import Learner, Phase
from training.losses import weight_penalty

MicroBatch = Batch | FeatureBatch  # clips whose gradient is computed at once

TINY = 1e-12  # a deviation that can be divided by
RANK_SEED = 24  # bits of a seed below the process's number, for the steps of a run


class Model(nn.Module):
    """The forward pass of a phase, as one module that owns the weights."""

    def __init__(self, learner: Learner, phase: Phase) -> None:
        super().__init__()
        self.network, self.auxiliary = learner.network, phase.auxiliary
        self._phase, self._penalised = phase, learner.run.beta > 0

    def forward(self, batch: MicroBatch) -> tuple[Tensor, Tensor, Tensor]:
        """-> outputs (B, O), each in its unit; of the auxiliary heads (B·K, J) or (0,); ‖w‖² ()"""
        features = self._phase.features(batch)  # (B, K, D, T', H', W')
        outputs: Tensor = self.network.head(join(features))
        auxiliary, penalty = outputs.new_zeros(0), outputs.new_zeros(())
        if self.auxiliary is not None:
            auxiliary = self.auxiliary(features.float()).flatten(0, 1)
        if self._penalised:
            penalty = weight_penalty(self.network.parameters())
        return outputs, auxiliary, penalty


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Figures of one update, for the log and for `Health`."""

    parts: list[tuple[float, DeviceFigures]]
    """Of each micro-batch, with its share of the step's clips."""
    gradient: DeviceFigures
    rates: dict[str, float]

    def read(self) -> dict[str, float]:
        """Waits until the device has made the update."""
        figures: defaultdict[str, float] = defaultdict(float)
        for share, terms in self.parts:
            for name, value in terms.read().items():
                figures[name] += share * value
        return {**figures, **self.gradient.read(), **self.rates}


Begun = deque[tuple[int, int, StepFigures]]
"""Steps whose figures are not read: their number in the run and in the phase, and the figures."""


def read_until(begun: Begun, left: int) -> list[tuple[int, int, dict[str, float]]]:
    """Figures of those that were begun first, until so many are left."""
    steps = [begun.popleft() for _ in range(len(begun) - left)]
    return [(number, done, figures.read()) for number, done, figures in steps]


class TrainingStep:
    """The updates of one phase."""

    def __init__(self, learner: Learner, phase: Phase, optimiser: torch.optim.Optimizer) -> None:
        self.learner, self.phase, self.optimiser = learner, phase, optimiser
        self.model = learner.processes.parallel(Model(learner, phase))
        deviations = torch.from_numpy(learner.dataset.deviations).to(learner.device.kind)
        self._deviations = deviations.clamp_min(TINY)  # (O,)

    def __call__(
        self, micro_batches: Sequence[MicroBatch], number: int, factor: float
    ) -> dict[str, float]:
        """Update `number` with rates × `factor`; its figures."""
        return self.begin(micro_batches, number, factor).read()

    def begin(self, micro_batches: Sequence[MicroBatch], number: int, factor: float) -> StepFigures:
        """The same, without waiting for the device."""
        learner, run, processes = self.learner, self.learner.run, self.phase.processes
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        torch.manual_seed((run.seed << 32) + (processes.rank << RANK_SEED) + number)
        self.optimiser.zero_grad(set_to_none=True)
        parts = []
        for batch in micro_batches:
            share = batch.whole / sum(each.whole for each in micro_batches)
            averaging: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
            if isinstance(self.model, DistributedDataParallel) and batch is not micro_batches[-1]:
                averaging = self.model.no_sync()
            with averaging:
                outputs, auxiliary, penalty = self.model(batch)
                clips = learner.device.put(torch.from_numpy(batch.clips))
                judged = learner.target_scores(batch.clips, batch.starts, batch.shown.numpy())
                targets = self.phase.auxiliary_targets(batch)
                gathered = (outputs, judged, auxiliary, targets, clips)
                outputs, judged, auxiliary, targets, clips = map(processes.gather, gathered)
                indices = batch.clips if processes.count == 1 else clips.numpy(force=True)
                scores = learner.announced(outputs, indices)  # (N, O) points
                loss = run.objective(scores, judged, penalty)
                terms = {
                    "regression": loss.regression,
                    "ranking": loss.ranking,
                    "alpha": loss.alpha,
                    "penalty": loss.penalty,
                    "auxiliary": learner.auxiliary_loss(auxiliary, targets),
                    "pairs": learner.pairs_loss(scores, judged, indices),
                    "fit": loss.fit,
                    "always_mean": run.objective.always_mean(judged),
                    "spread": (outputs.std(dim=0, correction=0) / self._deviations).max(),
                }
                terms["loss"] = loss.total + terms["auxiliary"] + terms["pairs"]
                (terms["loss"] * share).backward()
            parts.append((share, DeviceFigures(terms)))
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, run.max_gradient or math.inf)
        self.optimiser.step()
        *extractor_rate, rate = [group["lr"] for group in self.optimiser.param_groups][:2]
        rates = {"extractor_rate": extractor_rate[0] if extractor_rate else 0.0, "rate": rate}
        return StepFigures(parts, DeviceFigures({"gradient": norm}), rates)
