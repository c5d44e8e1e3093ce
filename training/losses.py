"""
The training objective: regress the judges' score and respect their ranking.   [Li18 eqs. 1–7]

Shapes: B clips in a batch, O outputs of the network; predicted and judged are (B,), in points.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.choices import MARGIN, Alpha

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

TINY = 1e-12  # that can be divided by


def mse_loss(predicted: Tensor, judged: Tensor) -> Tensor:
    """L1 = 1/(2n) Σ (s_i − g_i)²   [Li18 eq. 1]; s is `predicted`, g is `judged`."""
    return 0.5 * F.mse_loss(predicted, judged)


def ranking_loss(predicted: Tensor, judged: Tensor, margin: float = MARGIN) -> Tensor:
    """L2 = Σ over i < j of ReLU(−(s_j − s_i)·sign(g_j − g_i) + δ)   [Li18 eq. 2]

    Departure: pairs that the judges tied are left out, since for them the term is the constant
    margin and pushes nothing.
    """
    hinge, order = _hinges(predicted, judged, margin)
    if hinge.is_cuda:  # it would be waited for, to learn how many pairs are left
        return torch.where(order != 0, hinge, 0.0).sum()
    return hinge[order != 0].sum()


def balanced_alpha(predicted: Tensor, judged: Tensor, margin: float = MARGIN) -> Tensor:
    """α = ‖∂L1/∂s‖₂ / ‖∂L2/∂s‖₂ over the batch, in closed form   [Li18 eqs. 4–7]

        ∂L1/∂s_i = (s_i − g_i) / n
        ∂L2/∂s_i = Σ over active pairs with i of  −sign(g_i − g_other)

    A pair is active where its hinge is above 0. Eq. 5 as printed lacks the sign. Where no pair
    is active L2 and its gradient are 0 and so is α. No gradient flows through it.
    """
    with torch.no_grad():
        first = (predicted - judged) / len(judged)
        hinge, order = _hinges(predicted, judged, margin)
        pull = torch.where(hinge > 0, order, 0.0)  # (pairs,) of ∂L2/∂s_i; −pull of ∂L2/∂s_j
        i, j = _pairs(len(judged), judged.device)
        second = torch.zeros_like(first).index_add(0, i, pull).index_add(0, j, -pull)
        size = second.norm()
        # Where any pair is active, its clip that the judges put last is only ever pulled down, and
        # by at least 1: the norm is 0 or at least 1.
        return torch.where(size > 0, first.norm() / size.clamp_min(1), torch.zeros_like(size))


def weight_penalty(weights: Iterable[Tensor]) -> Tensor:
    """‖w‖², the sum of the squares of all weights."""
    return torch.stack([weight.square().sum() for weight in weights]).sum()


def difference_loss(
    predicted: Tensor, judged: Tensor, clips: Indices, leader: Indices, costs: Floats
) -> Tensor:
    """1/(2p) Σ ((Δs − Δg) / c)² over the p pairs of a batch, 0 without one.

    Δs is the predicted and Δg the judged score of the faulty clip minus that of the clean one, and
    c what a fault of that kind usually costs, so that all kinds count alike. Predicted and judged
    (B, O), clips (B,), leader and costs (N,) -> ().
    """
    row_of = {int(clip): row for row, clip in enumerate(clips)}
    faulty = [row for clip, row in row_of.items() if leader[clip] != clip]
    clean = [row_of[int(leader[clips[row]])] for row in faulty]
    if not faulty:
        return predicted.new_zeros(())
    cost = torch.from_numpy(costs[clips[faulty]]).to(predicted.device)[:, None]
    wrong = (predicted - judged)[faulty] - (predicted - judged)[clean]  # (p, O)
    return 0.5 * (wrong / cost).square().mean()


def masked_loss(predicted: Tensor, targets: Tensor, groups: dict[str, slice]) -> Tensor:
    """Mean over groups of targets of the smooth L1 over those known: (B, J), (B, J) -> ().

    A target that is NaN is not known; the groups weigh alike, however many targets they have.
    """
    known = ~torch.isnan(targets)
    each = F.smooth_l1_loss(predicted, targets.nan_to_num(), reduction="none") * known
    parts = [each[:, group].sum() / known[:, group].sum().clamp_min(1) for group in groups.values()]
    return torch.stack(parts).mean()


@dataclass(frozen=True, slots=True)
class Loss:
    """One evaluation of the objective; `total` carries the gradient."""

    total: Tensor
    fit: Tensor
    """Of the predictions: `total` without the weights' penalty."""
    regression: Tensor
    ranking: Tensor
    alpha: Tensor
    penalty: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """L = L1 + α L2 + β‖w‖²   [Li18 eq. 3]; `regression` False leaves L1 out (Table 1).

    Of a network with several outputs L1, α and L2 are of each, and the mean over them counts.
    """

    alpha: Alpha
    """A number, 0 for no ranking, or "balance"."""
    beta: float
    margin: float = MARGIN
    regression: bool = True

    def __call__(self, predicted: Tensor, judged: Tensor, penalty: Tensor) -> Loss:
        """Predicted and judged (B, O); `penalty` is ‖w‖², see `weight_penalty`."""
        each = [
            self._terms(one, wanted)
            for one, wanted in zip(predicted.unbind(1), judged.unbind(1), strict=True)
        ]
        fits, firsts, seconds, alphas = map(torch.stack, zip(*each, strict=True))  # (O,)
        fit, first, second = fits.mean(), firsts.mean(), seconds.mean()
        # The α for which mean fit = mean L1 + α · mean L2.
        alpha = (alphas * seconds).mean() / second.clamp_min(TINY)
        alpha = torch.where(second > 0, alpha, alphas.mean())
        return Loss(fit + self.beta * penalty, fit, first, second, alpha, penalty)

    def _terms(self, predicted: Tensor, judged: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of one output: fit, L1, L2, α."""
        first = mse_loss(predicted, judged)
        second = ranking_loss(predicted, judged, self.margin)
        if self.alpha == "balance":
            alpha = balanced_alpha(predicted, judged, self.margin)
        else:
            alpha = predicted.new_full((), self.alpha)
        fit = alpha * second
        if self.regression:
            fit = first + fit
        return fit, first, second, alpha

    def always_mean(self, judged: Tensor) -> Tensor:
        """The fit of predicting the mean for all clips; (B, O) -> ()."""
        each = [self._terms(one.mean().expand_as(one), one)[0] for one in judged.unbind(1)]
        return torch.stack(each).mean()


def _pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """All i < j."""
    i, j = torch.triu_indices(count, count, offset=1, device=device)
    return i, j


def _hinges(predicted: Tensor, judged: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """(pairs,) hinge and order; order is sign(g_j − g_i), 0 for a tie."""
    i, j = _pairs(len(judged), judged.device)
    order = torch.sign(judged[j] - judged[i])
    return F.relu(margin - (predicted[j] - predicted[i]) * order), order
