"""
Several processes that train one network together, as `torchrun` starts them.

The rule: R processes with B clips each make the step that one process with R·B clips would make.
Scores are gathered, so that every pair counts in the ranking loss, whichever processes its clips
are in; each process computes the whole loss, and gradients are averaged.

Shapes: R processes, B clips in each.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)  # while the first process decodes or validates


@dataclass(frozen=True, slots=True)
class Processes:
    """How many there are, and which of them this is."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """The one that writes files, validates, and shows its progress."""
        return self.rank == 0

    def gather(self, scores: Tensor) -> Tensor:
        """(B,) of this process -> (R·B,) of all, by rank.

        The gradient is R times that of the whole loss, so that the mean over processes, each of
        which computes that loss, is the gradient itself.
        """
        if self.count == 1:
            return scores
        gathered: Tensor = _Gather.apply(scores, self)  # type: ignore[no-untyped-call]
        return gathered

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass averages the gradients over all processes."""
        if self.count == 1:
            return module
        # A fragment that is blanked in every clip leaves its extractor without a gradient.
        return DistributedDataParallel(module, find_unused_parameters=True)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others enter when the first one has left: it makes the files that they read."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        parts = [torch.empty_like(scores) for _ in range(processes.count)]
        distributed.all_gather(parts, scores.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total.chunk(ctx.processes.count)[ctx.processes.rank], None


ALONE = Processes()


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """The processes that `torchrun` started, connected; or this one alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def without_averaging(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Leaves gradients in the process: for all but the last micro-batch of a step."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return contextlib.nullcontext()
