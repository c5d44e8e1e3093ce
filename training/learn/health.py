"""
Checks that a run can still learn: its loss has not jumped, its predictions differ between clips.

The rule: an alarm ends the run, so it is raised on proof only. A loss has diverged when it is
ten thousand times both the first one and that of always predicting the mean; a network is dead when
all clips get the same prediction in several validations in succession, over many steps, or in the
last one of a phase. (Running statistics of batch normalisation need dozens of
steps to be of any use.)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import RunError
from training.learn.run_spec import RunSpec

JUMP = 10_000.0  # in a loss; an error that is 100 times the usual one
CONSTANT = 1e-4  # of what the deviation is to be; rounding makes answers differ by less
PATIENCE, LONG = 3, 200  # validations in succession, and steps
# With fewer validation clips, equal predictions may be chance; the alarm then also needs equal
# predictions in the training batches.
FEW = 8
AGAIN = "Start again with --restart, or in a new folder."


@dataclass(slots=True)
class HealthState:
    """What was seen of a run so far; saved with its state."""

    reference: float = 0.0
    """The loss at the first step, or of always the mean in any step: the largest."""
    spread: float = 0.0
    """Largest deviation of an output in a batch since the last validation, as a share of what it
    is to be."""
    constant: int = 0
    """Validations in succession with one prediction for all clips, and the step before them."""
    moved: int = 0


class Health:
    def __init__(self, deviation: float | NDArray[np.float32], advice: str) -> None:
        """`deviation` of what is to be predicted, (J,) for several outputs; `advice` names what to
        change."""
        self._limit, self._advice = CONSTANT * deviation, advice
        self.state = HealthState()

    def after_step(self, step: int, figures: Mapping[str, float]) -> None:
        """Raises RunError for a loss that is not finite or has jumped.

        Of `figures`, `fit` is the loss of the predictions and `gradient` its norm, `always_mean`
        the loss of their mean in place of each, and `spread` is as `HealthState` has it.
        """
        state, loss, gradient = self.state, figures["fit"], figures["gradient"]
        if not math.isfinite(loss + gradient):
            raise self._error(f"the loss is {loss:.4g} and its gradient {gradient:.4g}", step)
        state.reference = max(state.reference or loss, figures.get("always_mean", 0.0))
        if loss > JUMP * state.reference > 0:
            raise self._error(f"the loss is {loss:.4g}, before it was {state.reference:.4g}", step)
        state.spread = max(state.spread, figures.get("spread", 0.0))

    def after_validation(self, step: int, predicted: NDArray[np.float32], *, last: bool) -> None:
        """(N,) or (N, J) predictions; `last` of a phase.   Raises RunError for a dead network.

        They are of the head's layers alone: the linear path beside them would hide a dead head.
        """
        state = self.state
        if not np.isfinite(predicted).all():
            raise self._error("predictions are not finite", step)
        alike = bool((np.ptp(predicted, axis=0) < self._limit).all())
        proven = len(predicted) >= FEW or state.spread < CONSTANT
        state.spread = 0.0
        state.constant = state.constant + 1 if alike and proven else 0
        state.moved = state.moved if state.constant else step
        if (state.constant >= PATIENCE and step - state.moved >= LONG) or (last and state.constant):
            answer = f"{float(predicted.flat[0]):.4g}"
            raise self._error(f"the head's answer is {answer} for all {len(predicted)} clips", step)

    def _error(self, found: str, step: int) -> RunError:
        return RunError(f"{found} at step {step}: the run cannot learn. {self._advice} {AGAIN}")


def advice(run: RunSpec) -> str:
    """What to change in a run that cannot learn, with what it is now."""
    rates = [f"--rate {run.rate:g}, --extractor-rate {run.extractor_rate:g}"] * (run.epochs > 0)
    rates += [f"--head-rate {run.head_rate:g}"] * (run.head_epochs > 0)
    limit = "none" if run.max_gradient is None else f"{run.max_gradient:g}"
    return (
        f"Lower the learning rates ({', '.join(rates)}), clip gradients"
        f" (--max-gradient, now {limit}), warm up for longer (--warmup, now {run.warmup:g}),"
        f" drop less (--dropout, now {run.network.dropout:g}), or weigh ranking otherwise"
        f" (--alpha, now {run.alpha})."
    )
