"""
One update of the weights: from micro-batches, in one process or in several.

The rule: the loss of a micro-batch is over the clips that all processes have of it, so the
ranking loss and counterfactual pairs reach across processes but not across micro-batches;
gradients are averaged over both.

Shapes: B clips of a micro-batch in a process, N in all processes, O outputs of the network.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from training.distributed import without_averaging
from training.learn.learner import Inputs, Learner, Phase
from training.losses import weight_penalty

TINY = 1e-12  # a deviation that can be divided by
RANK_SEED = 24  # bits of a seed below the process's number, for the steps of a run

T = TypeVar("T")


class Forward(nn.Module):
    """A phase's forward pass, as a module that owns the weights it trains."""

    def __init__(self, learner: Learner, phase: Phase) -> None:
        super().__init__()
        self.network, self.auxiliary = learner.network, learner.auxiliary
        self._phase, self._penalised = phase, learner.run.beta > 0

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """-> predicted, wanted, auxiliary, targets (see `Outcome`), ‖w‖² ()"""
        outcome = self._phase.forward(inputs)
        penalty = outcome.predicted.new_zeros(())
        if self._penalised:
            penalty = weight_penalty(self.network.parameters())
        return outcome.predicted, outcome.wanted, outcome.auxiliary, outcome.targets, penalty


class Step:
    """The updates of one phase."""

    def __init__(self, learner: Learner, phase: Phase, optimiser: torch.optim.Optimizer) -> None:
        self.run, self.learner, self.optimiser = learner.run, learner, optimiser
        self.processes = phase.processes
        self.model = learner.processes.parallel(Forward(learner, phase))
        deviations = torch.from_numpy(learner.dataset.deviations).to(learner.device.kind)
        self._deviations = deviations.clamp_min(TINY)  # (O,)

    def __call__(self, parts: Sequence[Inputs], number: int, factor: float) -> dict[str, float]:
        """Update `number` with rates × `factor`; the figures of the log and of `Health`."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        torch.manual_seed((self.run.seed << 32) + (self.processes.rank << RANK_SEED) + number)
        self.optimiser.zero_grad(set_to_none=True)
        each, clips = [], sum(inputs.whole for inputs in parts)
        for inputs in parts:
            is_last = inputs is parts[-1]
            with contextlib.nullcontext() if is_last else without_averaging(self.model):
                each.append(self._gradient(inputs, inputs.whole / clips))
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.run.max_gradient or math.inf)
        self.optimiser.step()
        figures = {name: sum(one[name] for one in each) for name in each[0]}
        return figures | {"gradient": float(norm)} | self._rates()

    def _gradient(self, inputs: Inputs, share: float) -> Mapping[str, float]:
        """Add a micro-batch's share of the gradient; that share of the terms of its loss."""
        *rows, penalty = self.model(inputs)
        clips = torch.from_numpy(inputs.clips).to(penalty.device)
        outputs, wanted, shown, targets, clips = map(self.processes.gather, (*rows, clips))
        indices = clips.numpy(force=True)
        predicted = self.learner.announced(outputs, indices)  # (N, O) points
        loss = self.run.objective(predicted, wanted, penalty)
        auxiliary = self.learner.auxiliary_loss(shown, targets)
        pairs = self.learner.pairs(predicted, wanted, indices)
        total = loss.total + auxiliary + pairs
        (total * share).backward()  # type: ignore[no-untyped-call]
        terms = {
            "loss": total,
            "regression": loss.regression,
            "ranking": loss.ranking,
            "alpha": loss.alpha,
            "penalty": loss.penalty,
            "auxiliary": auxiliary,
            "pairs": pairs,
            "fit": loss.fit,
            "always_mean": self.run.objective.always_mean(wanted),
            "spread": (outputs.std(dim=0, correction=0) / self._deviations).max(),
        }
        return {name: share * term.item() for name, term in terms.items()}

    def _rates(self) -> dict[str, float]:
        rates: list[Any] = [group["lr"] for group in self.optimiser.param_groups]
        return {
            "extractor_rate": rates[0] if len(rates) > 1 else 0.0,
            "rate": rates[min(1, len(rates) - 1)],
        }


def grouped(inputs: Iterator[T], size: int) -> Iterator[list[T]]:
    """Micro-batches step by step; an epoch has whole steps."""
    while len(group := list(itertools.islice(inputs, size))) == size:
        yield group
