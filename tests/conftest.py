"""What holds for every test: nothing is written outside temporary folders, one thread for torch."""

import os
import tempfile
from typing import Any

import pytest

SERVERS = {"browser", "docker", "service"}  # folders whose tests share servers
SLOWEST = ["service", "tests/test_skating.py", "tests/test_readme.py", "browser"]
CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("COLUMNS", None)  # workers have it: tables are as wide as a test wants them
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share what this process has made
        config.stash[CACHE] = tempfile.TemporaryDirectory(prefix="fragment-scorer-test-")
        os.environ["SCORING_CACHE"] = config.stash[CACHE].name  # of converted networks
        os.environ["OMP_NUM_THREADS"] = "1"  # for torch, here and in every process of a test


def pytest_unconfigure(config: pytest.Config) -> None:
    if CACHE in config.stash:
        config.stash[CACHE].cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest begin first. Tests of a cluster end their folder, and Ray with them."""

    def rank(item: pytest.Item) -> tuple[int, bool]:
        scope = scope_of(item.nodeid)
        last = len(SLOWEST)
        return SLOWEST.index(scope) if scope in SLOWEST else last, "cluster" in item.nodeid

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of several workers, one runs a file, and the same one a folder whose tests share servers."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # else scopes of many tests come first
    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = scope_of
    return scheduling


def scope_of(nodeid: str) -> str:
    """What the test of `tests/service/test_x.py::test_y` is kept together with."""
    file = nodeid.partition("::")[0]
    folder = file.split("/")[1]
    return folder if folder in SERVERS else file
