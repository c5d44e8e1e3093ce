"""The heads that learn from tracks."""

import torch

from training.data.targets import TargetScale
from training.learn.auxiliary import AuxiliaryHeads


def test_every_extractor_has_a_head_of_its_own() -> None:
    scale = TargetScale(torch.zeros(5), torch.ones(5))
    heads = AuxiliaryHeads(3, (4, 1, 2, 2), scale)
    features = torch.randn(7, 3, 4, 1, 2, 2)
    answer = heads(features)
    assert answer.shape == (7, 3, 5)
    torch.testing.assert_close(answer[:, 1], heads.heads[1](features[:, 1].reshape(7, 16)))
