from pathlib import Path

import pytest

from model_store.spec import ClipSpec
from tests.training.bright import SPEC, rows_of, write_bright_dataset, write_rows


@pytest.fixture
def spec() -> ClipSpec:
    """Two fragments of 32×32."""
    return SPEC


@pytest.fixture(scope="session")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 clips, 60 of them for training."""
    return write_bright_dataset(tmp_path_factory.mktemp("data") / "bright", 72)


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 clips of which the first 8 and the next 8 are the clean and the faulty ones of pairs."""
    folder = write_bright_dataset(tmp_path_factory.mktemp("data") / "paired", 30)
    rows = rows_of(folder)
    for number, row in enumerate(rows):
        is_pair = number < 16
        row["split"] = "train"
        row["pair"] = str(number % 8) if is_pair else ""
        row["role"] = ("clean" if number < 8 else "faulty") if is_pair else ""
    write_rows(folder, rows)
    return folder
