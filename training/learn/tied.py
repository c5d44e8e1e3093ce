"""
Extractors that share their weights: one module for all fragments, trained on all of them at once.

The gradient of a weight is the sum over the fragments. A state dict, and so every file, holds K
equal copies: the format of a checkpoint does not depend on whether it was trained tied.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model_store.network import FragmentNetwork


def tie(network: FragmentNetwork) -> None:
    """Replace all extractors by one, whose weights are the mean of theirs."""
    first = network.extractors[0]
    if have_different_weights(network.extractors):
        first.load_state_dict(mean_weights(network.extractors))
    network.extractors = nn.ModuleList([first] * len(network.used))


def mean_weights(extractors: Iterable[nn.Module]) -> dict[str, Tensor]:
    """One extractor's state dict, in which each number is the mean of theirs."""
    each = [one.state_dict() for one in extractors]
    return {
        name: torch.stack([weights[name] for weights in each]).mean(dim=0)
        if value.is_floating_point()
        else value  # how many batches the statistics have seen
        for name, value in each[0].items()
    }


def is_tied(network: FragmentNetwork) -> bool:
    return len(network.extractors) > 1 and len({id(one) for one in network.extractors}) == 1


def have_different_weights(extractors: Iterable[nn.Module]) -> bool:
    """Whether they are not all the same function."""
    first, *others = (
        dict(one.named_parameters()) | dict(one.named_buffers()) for one in extractors
    )
    return any(
        not torch.equal(value, other[name])
        for other in others
        for name, value in first.items()
        if value.is_floating_point()
    )
