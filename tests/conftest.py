"""What holds for every test: nothing is written outside temporary folders, one thread for torch."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

SERVERS = {"browser", "docker", "service"}  # folders whose tests start servers or measure time
CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share what this process has made
        config.stash[CACHE] = tempfile.TemporaryDirectory(prefix="fragment-scorer-test-")
        os.environ["SCORING_CACHE"] = config.stash[CACHE].name  # of converted networks
        os.environ["OMP_NUM_THREADS"] = "1"  # of servers and of training in other processes
    torch.set_num_threads(1)


def pytest_unconfigure(config: pytest.Config) -> None:
    if CACHE in config.stash:
        config.stash[CACHE].cleanup()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several workers, one runs a file, and the same one all that starts servers."""
    for item in items:
        folder, *_ = item.path.relative_to(Path(__file__).parent).parts
        group = "servers" if folder in SERVERS else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
