from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.data.datasets.layouts import WRITERS


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny copy of a data set, by kind; written once, not to be changed."""
    written: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in written:
            written[kind] = tmp_path_factory.mktemp(kind)
            WRITERS[kind](written[kind])
        return written[kind]

    return folder
