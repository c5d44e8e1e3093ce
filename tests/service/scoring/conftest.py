"""A batcher, its metrics, and what it reports when it dies."""

import threading
from collections.abc import Iterator

import pytest

from service.metrics import Metrics
from service.scoring.batcher import Batcher
from tests.service.scoring.batches import started


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def deaths() -> list[str]:
    return []


@pytest.fixture
def batcher(metrics: Metrics, deaths: list[str]) -> Iterator[Batcher]:
    batcher = started(metrics, deaths)
    yield batcher
    batcher.stop()
    assert not any(thread.name == "inference" for thread in threading.enumerate())
