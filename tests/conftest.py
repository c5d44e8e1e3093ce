"""What holds for every test: nothing is written outside temporary folders, one thread for torch."""

import os
import tempfile

import torch

CACHE = tempfile.TemporaryDirectory(prefix="fragment-scorer-test-")


def pytest_configure() -> None:
    os.environ["SCORING_CACHE"] = CACHE.name  # of converted networks; servers inherit it
    torch.set_num_threads(1)


def pytest_unconfigure() -> None:
    CACHE.cleanup()
