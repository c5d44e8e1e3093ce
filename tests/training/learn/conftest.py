from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.bright import bright_run
from training.learn.run_spec import RunSpec


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Runs are compared to the last bit, and sums in another order are other sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(bright: Path) -> RunSpec:
    return bright_run(bright, max_gradient=100.0)
