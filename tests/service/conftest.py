from collections.abc import Iterator

import pytest
import torch

from model_store.store import Store
from tests.checkpoints import tiny_store
from tests.servers import LiveServer, live_server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    torch.set_num_threads(1)  # small tensors: more threads only wait for one another
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(store.root, tmp_path_factory.mktemp("server")) as server:
        yield server
