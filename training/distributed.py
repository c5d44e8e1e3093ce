"""
Several processes that train one network together, as `torchrun` starts them.

The rule: R processes that share a batch make the step that one process would make of all of it
(but for dropout, whose masks are drawn in each). What a loss is made of is gathered, so that every
pair of clips counts, whichever processes they are in; each process computes the whole loss, and
gradients are averaged. Statistics over a batch are not gathered: `RunSpec` refuses them.

Shapes: R processes, B clips of a batch, about B/R of them in each.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.errors import RunError

Indices = NDArray[np.int64]

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

    def share(self, batch: Indices) -> Indices:
        """(B,) -> this process's part of a batch; parts differ by at most one clip.

        Raises RunError where a process would have none.
        """
        there, need = len(batch), self.count
        if there < need:
            raise RunError(f"a batch of {there} clips, need at least {need}: one a process")
        return np.array_split(batch, self.count)[self.rank]

    def gather(self, rows: Tensor) -> Tensor:
        """(n, …) of this process -> (N, …) of all, by rank; n may differ from one to the next.

        The gradient is R times that of the whole loss, so that the mean over processes, each of
        which computes that loss, is the gradient itself.
        """
        if self.count == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows, self)  # type: ignore[no-untyped-call]
        return gathered

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass averages the gradients over all processes."""
        if self.count == 1:
            return module
        # A fragment that is blanked in every clip leaves its extractor without a gradient.
        return DistributedDataParallel(module, find_unused_parameters=True)

    def any(self, holds: bool) -> bool:
        """Whether it holds in any of them."""
        if self.count == 1:
            return holds
        each: list[bool | None] = [None] * self.count
        distributed.all_gather_object(each, holds)
        return True in each

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

    @contextlib.contextmanager
    def end_together(self) -> Iterator[None]:
        """What ends the first one inside, with a RunError, ends the others too."""
        error = None
        try:
            yield
        except RunError as raised:
            error = raised
        text = [error and str(error)]
        if self.count > 1:
            distributed.broadcast_object_list(text)
        if text[0]:
            raise error or RunError(text[0])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: Processes) -> Tensor:
        lengths = rows.new_empty(processes.count, dtype=torch.int64)
        distributed.all_gather_into_tensor(lengths, lengths.new_tensor([len(rows)]))
        each: list[int] = lengths.tolist()
        padded = rows.new_zeros(max(each), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in each]
        distributed.all_gather(parts, padded)
        ctx.processes, ctx.lengths = processes, each
        return torch.cat([part[:length] for part, length in zip(parts, each, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Each process has computed the same loss, so has all of its gradient."""
        part: Tensor = torch.split(gradient, ctx.lengths)[ctx.processes.rank]
        return part * ctx.processes.count, None


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
