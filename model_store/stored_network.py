"""
A network as it is stored: its specs, and where its weights can be read.

The rule: PyTorch is imported, and the weights are kept in memory, once somebody asks for the
network itself, and only then. A service whose networks are converted already never does.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_store.errors import CheckpointIncompatible
from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec

if TYPE_CHECKING:
    from torch import Tensor

    from model_store.network import FragmentNetwork

Weights = Mapping[str, NDArray[Any]]
"""float16 or float32, by the names of `FragmentNetwork.state_dict`."""


class StoredNetwork:
    def __init__(
        self,
        network_spec: NetworkSpec,
        clip_spec: ClipSpec,
        *,
        digest: str,
        read: Callable[[], Weights],
    ) -> None:
        """`digest` is a hash of the weights, which `read` returns."""
        self.network_spec = network_spec
        self.clip_spec = clip_spec
        self.digest = digest
        self._read = read

    @classmethod
    def of(cls, network: "FragmentNetwork") -> "StoredNetwork":
        """One that is in memory already."""
        weights = {name: each.numpy(force=True) for name, each in network.state_dict().items()}
        digest = hashlib.sha256()
        for name, array in sorted(weights.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        stored = cls(
            network.network_spec,
            network.clip_spec,
            digest=digest.hexdigest(),
            read=lambda: weights,
        )
        stored.network = network
        return stored

    @cached_property
    def network(self) -> "FragmentNetwork":
        """In evaluation mode, float32, on the CPU.

        Raises CheckpointIncompatible unless the weights have every name and shape that the specs
        ask for, no other, and the mean of the clip spec; and what reading them raises.
        """
        import torch

        from model_store.network import FragmentNetwork

        with torch.device("meta"):
            network = FragmentNetwork(self.network_spec, self.clip_spec)
        needed: dict[str, Tensor] = network.state_dict()
        weights = self._read()
        if missing := needed.keys() - weights.keys():
            raise CheckpointIncompatible(f"weights lack {sorted(missing)[:3]} and perhaps more")
        if unknown := weights.keys() - needed.keys():
            raise CheckpointIncompatible(f"weights have unknown {sorted(unknown)[:3]}")
        tensors = {}
        for name, array in weights.items():
            if array.shape != needed[name].shape:
                raise CheckpointIncompatible(
                    f"{name} is {array.shape}, need {tuple(needed[name].shape)}"
                )
            tensors[name] = torch.tensor(array, dtype=needed[name].dtype)
        network.load_state_dict(tensors, assign=True)
        if not math.isclose(float(network.mean.flatten()[0]), self.clip_spec.mean[0], abs_tol=1e-3):
            raise CheckpointIncompatible("weights and clip spec disagree on the mean")
        return network.eval()
