import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.store import Store
from tests.checkpoints import tiny_store
from tests.clusters import Cluster, live_cluster
from tests.servers import LiveServer, live_server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def local_server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(store.root, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(store: Store) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        live_cluster(store.root, Path(folder)) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="session", params=["local_server", "cluster"])
def server(request: pytest.FixtureRequest) -> LiveServer:
    """One process, and then a cluster: what a client sees must be the same."""
    server: LiveServer = request.getfixturevalue(request.param)
    return server
