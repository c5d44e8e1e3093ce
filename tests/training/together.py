"""Runs a script in several processes that are joined by gloo, as `torchrun` does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAIN = """
import sys
from pathlib import Path

import torch

from tests.training.bright import Quiet, dataset_of
from training.distributed import joined
from training.errors import RunError
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer

torch.set_num_threads(1)
with joined() as processes:
    folder = RunFolder(Path(sys.argv[1]))
    run = RunSpec.from_json(folder.options())
    with processes.leader_first():
        dataset = dataset_of(run)
    try:
        Trainer(run, dataset, folder, processes=processes).train(Quiet())
    except RunError as error:
        (folder.path / f"rank-{processes.rank}").write_text(str(error))
"""


def start(script: str, folder: Path, processes: int, *arguments: Path) -> None:
    """Run it with these arguments; it lies in `folder` meanwhile."""
    path = folder / "together.py"
    path.write_text(script)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *(f"--nproc-per-node={processes}", str(path), *map(str, arguments)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
