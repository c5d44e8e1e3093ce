"""The objective by hand, and its closed form against autograd and against differences."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.losses import (
    Objective,
    balanced_alpha,
    masked_loss,
    mse_loss,
    ranking_loss,
    weight_penalty,
)

NAN = math.nan


def scores(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def random_scores(seed: int, count: int = 12) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    judged = random.integers(50, 60, count).astype(float)  # with ties
    return scores(*random.normal(55, 5, count)), scores(*judged)


def test_mse_loss_by_hand() -> None:
    assert mse_loss(scores(1, 2, 6), scores(1, 4, 3)).item() == pytest.approx((4 + 9) / 6)


def test_ranking_loss_by_hand() -> None:
    # (0,1) and (0,2) are in order by more than the margin; (1,2) is inverted by 4 points: 4 + 2.
    assert ranking_loss(scores(10, 24, 20), scores(10, 20, 30)).item() == pytest.approx(6.0)


def test_ranking_loss_counts_what_is_in_order_but_too_close() -> None:
    assert ranking_loss(scores(10, 11.5), scores(10, 20)).item() == pytest.approx(0.5)


def test_ranking_loss_leaves_ties_out() -> None:
    assert ranking_loss(scores(10, 90), scores(20, 20)).item() == 0
    assert ranking_loss(scores(10, 90, 95), scores(20, 20, 30)).item() == 0


@pytest.mark.parametrize("seed", range(5))
def test_ranking_loss_against_a_loop_over_pairs(seed: int) -> None:
    predicted, judged = random_scores(seed)
    expected = sum(
        max(
            0.0, -(predicted[j] - predicted[i]).item() * math.copysign(1, judged[j] - judged[i]) + 2
        )
        for i in range(len(judged))
        for j in range(i + 1, len(judged))
        if judged[i] != judged[j]
    )
    assert ranking_loss(predicted, judged).item() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_balances_the_gradients_that_autograd_finds(seed: int) -> None:
    predicted, judged = random_scores(seed)
    predicted.requires_grad_()
    [first] = torch.autograd.grad(mse_loss(predicted, judged), predicted)
    [second] = torch.autograd.grad(ranking_loss(predicted, judged), predicted)
    assert second.norm() > 0
    alpha = balanced_alpha(predicted, judged)
    assert alpha.item() == pytest.approx((first.norm() / second.norm()).item(), rel=1e-12)
    assert not alpha.requires_grad


def test_alpha_is_0_where_nothing_is_out_of_order() -> None:
    predicted, judged = scores(10, 20, 30), scores(11, 25, 70)
    assert ranking_loss(predicted, judged).item() == 0
    assert balanced_alpha(predicted, judged).item() == 0
    assert balanced_alpha(scores(5), scores(7)).item() == 0


def test_alpha_where_one_clip_is_pulled_both_ways() -> None:
    # All pairs are active: ∂L2/∂s is (2, 0, −2), and ∂L1/∂s is (9, 8, 7) / 3.
    predicted, judged = scores(10, 10, 10), scores(1, 2, 3)
    expected = math.sqrt(81 + 64 + 49) / 3 / math.sqrt(8)
    assert balanced_alpha(predicted, judged).item() == pytest.approx(expected)


def test_objective_adds_its_parts() -> None:
    predicted, judged = random_scores(1)
    weights = [torch.full((2, 3), 2.0), torch.tensor([3.0])]
    penalty = weight_penalty(weights)
    assert penalty.item() == 6 * 4 + 9
    loss = Objective(alpha="balance", beta=0.1)(predicted[:, None], judged[:, None], penalty)
    expected = loss.regression + loss.alpha * loss.ranking + 0.1 * 33
    assert loss.total.item() == pytest.approx(expected.item())
    assert loss.alpha.item() == pytest.approx(balanced_alpha(predicted, judged).item())
    ranking_only = Objective(alpha=0.5, beta=0.0, regression=False)
    total = ranking_only(predicted[:, None], judged[:, None], penalty).total
    assert total.item() == pytest.approx(0.5 * ranking_loss(predicted, judged).item())


@pytest.mark.parametrize("regression", [True, False])
def test_of_two_outputs_the_mean_counts(regression: bool) -> None:
    (one, judged), (two, _) = random_scores(1), random_scores(2)
    objective = Objective(alpha="balance", beta=0.1, regression=regression)
    wanted = torch.stack([judged, judged.flip(0)], dim=1)  # each its own
    together = objective(torch.stack([one, two], dim=1), wanted, scores(3)[0])
    apart = [
        objective(one[:, None], wanted[:, :1], scores(3)[0]),
        objective(two[:, None], wanted[:, 1:], scores(3)[0]),
    ]
    assert apart[0].fit.item() != pytest.approx(apart[1].fit.item())
    for name in ("total", "fit", "regression", "ranking", "penalty"):
        mean = sum(getattr(each, name).item() for each in apart) / 2
        assert getattr(together, name).item() == pytest.approx(mean)
    ranked = together.fit - (together.regression if regression else 0)
    assert (together.alpha * together.ranking).item() == pytest.approx(ranked.item())


def test_unknown_targets_teach_nothing_and_groups_weigh_alike() -> None:
    predicted = torch.tensor([[0.0, 0.0, 5.0], [0.0, 0.0, 1.0]], requires_grad=True)
    targets = torch.tensor([[0.5, NAN, 2.0], [NAN, NAN, 1.0]])
    loss = masked_loss(predicted, targets, {"a": slice(0, 2), "b": slice(2, 3)})
    # Group a: one known, 0.5²/2. Group b: |5 − 2| − 1/2 and 0, their mean.
    assert loss.item() == pytest.approx((0.125 + 1.25) / 2)
    loss.backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert predicted.grad.ne(0).tolist() == [[True, False, True], [False, False, False]]


def test_a_batch_that_knows_nothing_costs_nothing() -> None:
    predicted = torch.zeros(2, 3, requires_grad=True)
    loss = masked_loss(predicted, torch.full((2, 3), NAN), {"a": slice(0, 3)})
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert predicted.grad.abs().sum() == 0
