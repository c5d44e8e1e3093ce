"""A batcher with its metrics and what it reports when it dies; an application with an archive."""

import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from model_store.store import Store
from service.metrics import Metrics
from service.scoring.batcher import Batcher
from tests.servers import App, running_app
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


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "archive"


@pytest.fixture(scope="module")
async def shared_app(store: Store, archive: Path) -> AsyncIterator[App]:
    async with running_app(store, archive=archive) as app:
        yield app


@pytest.fixture
def app(shared_app: App, archive: Path) -> App:
    """Its archive is empty."""
    shutil.rmtree(archive)
    archive.mkdir()
    return shared_app
