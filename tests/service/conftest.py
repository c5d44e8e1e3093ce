from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.store import Store
from tests.checkpoints import tiny_store
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(store.root, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def dive() -> bytes:
    return clip_bytes(frames=151)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
