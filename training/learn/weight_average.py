"""
The mean of the weights of a phase's last steps, which is what a run keeps.   [Izmailov18]

[Izmailov18] P. Izmailov et al. Averaging Weights Leads to Wider Optima. UAI 2018.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_swa_avg_fn


class WeightAverage:
    def __init__(self, network: nn.Module) -> None:
        # Weight by weight: what PyTorch does on a GPU otherwise cannot average the counters of
        # normalisation, which are integers.
        self._mean = AveragedModel(network, avg_fn=get_swa_avg_fn(), use_buffers=True)
        self._network = network

    def update(self) -> None:
        """Count the weights that the network has now."""
        self._mean.update_parameters(self._network)

    def put_into_network(self) -> None:
        self._network.load_state_dict(self._mean.module.state_dict())

    @contextlib.contextmanager
    def in_network(self) -> Iterator[None]:
        """With the mean weights in the network, once there are some; its own come back."""
        if not self._mean.n_averaged:
            yield
            return
        latest = {name: value.clone() for name, value in self._network.state_dict().items()}
        self.put_into_network()
        try:
            yield
        finally:
            self._network.load_state_dict(latest)

    def state_dict(self) -> dict[str, Any]:
        return self._mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._mean.load_state_dict(state)
