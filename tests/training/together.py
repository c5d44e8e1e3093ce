"""Calls a function in several processes that are joined by gloo, as `torchrun` does."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tests.forked import CONTEXT
from tests.training.bright import Quiet, dataset_of
from training.distributed import joined
from training.errors import RunError
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer


def call_together(processes: int, function: Callable[..., Any], *arguments: object) -> None:
    """Raises ChildFailedError where it fails in one of them."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method=CONTEXT.get_start_method(),
    )
    elastic_launch(config, function)(*arguments)


def train_together(processes: int, path: Path) -> None:
    """Make the run of a folder that is open."""
    call_together(processes, _train, path)


def _train(path: Path) -> None:
    with joined() as processes:
        folder = RunFolder(path)
        run = RunSpec.from_json(folder.options())
        with processes.leader_first():
            dataset = dataset_of(run)
        try:
            Trainer(run, dataset, folder, processes=processes).train(Quiet())
        except RunError as error:
            (path / f"rank-{processes.rank}").write_text(str(error))
