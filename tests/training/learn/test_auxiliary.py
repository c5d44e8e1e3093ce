"""The loss of the throw-away heads by hand."""

import math

import pytest
import torch

from training.learn.auxiliary import AuxiliaryHeads, TargetScale, masked_loss

NAN = math.nan


def test_unknown_targets_teach_nothing_and_groups_weigh_alike():
    predicted = torch.tensor([[0.0, 0.0, 5.0], [0.0, 0.0, 1.0]], requires_grad=True)
    targets = torch.tensor([[0.5, NAN, 2.0], [NAN, NAN, 1.0]])
    loss = masked_loss(predicted, targets, {"a": slice(0, 2), "b": slice(2, 3)})
    # Group a: one known, 0.5²/2. Group b: |5 − 2| − 1/2 and 0, their mean.
    assert loss.item() == pytest.approx((0.125 + 1.25) / 2)
    loss.backward()
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad != 0).tolist() == [[True, False, True], [False, False, False]]


def test_a_batch_that_knows_nothing_costs_nothing():
    predicted = torch.zeros(2, 3, requires_grad=True)
    loss = masked_loss(predicted, torch.full((2, 3), NAN), {"a": slice(0, 3)})
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad.abs().sum() == 0


def test_every_extractor_has_a_head_of_its_own():
    scale = TargetScale(torch.zeros(5), torch.ones(5))
    heads = AuxiliaryHeads(3, (4, 1, 2, 2), scale)
    features = torch.randn(7, 3, 4, 1, 2, 2)
    answer = heads(features)
    assert answer.shape == (7, 3, 5)
    torch.testing.assert_close(answer[:, 1], heads.heads[1](features[:, 1].reshape(7, 16)))


def test_targets_are_brought_to_one_scale():
    scale = TargetScale(torch.tensor([10.0]), torch.tensor([2.0]))
    assert scale(torch.tensor([[14.0], [NAN]])).flatten()[0] == 2
    assert scale(torch.tensor([[NAN]])).isnan().all()
