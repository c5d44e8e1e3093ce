"""Prometheus and its promtool, as Debian packages them."""

import os
import shutil

import pytest


def installed(program: str) -> str:
    if (found := shutil.which(program)) is None:
        message = f"{program} is missing: apt-get install prometheus"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return str(found)


@pytest.fixture(scope="session")
def promtool() -> str:
    return installed("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return installed("prometheus")
