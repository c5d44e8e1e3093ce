from pathlib import Path

import pytest

from model_store.spec import ClipSpec
from tests.training.bright import SPEC, write_bright_dataset


@pytest.fixture
def spec() -> ClipSpec:
    """Two fragments of 32×32."""
    return SPEC


@pytest.fixture(scope="session")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 clips, 60 of them for training."""
    return write_bright_dataset(tmp_path_factory.mktemp("data") / "bright", 72)
