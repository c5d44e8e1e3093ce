import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.spec import ClipSpec
from tests.training.bright import SPEC, rows_of, write_bright_dataset, write_rows
from training.simulator.dataset import write_dataset


@pytest.fixture(scope="module", autouse=True)
def _one_process() -> Iterator[None]:
    """A test's clips are decoded sooner than other processes start; `test_cache.py` has two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="module", autouse=True)
def _torch_engine() -> Iterator[None]:
    """Where no engine is asked for: to convert for OpenVINO takes seconds, and is tested apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model_store.engines.AUTO", ("torch",))
        yield


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


@pytest.fixture(scope="session")
def six_vaults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six simulated clips, all for training; rendering one takes half a second."""
    folder = tmp_path_factory.mktemp("data") / "vault"
    write_dataset("vault", 6, 5, folder, test_share=0.0, workers=1)
    return folder


@pytest.fixture
def few_fragments_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pre-training: for tests that do not ask how well it learns."""
    monkeypatch.setattr("training.pretraining.pretrain.VALIDATION_FRAGMENTS", 32)


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the clips of a report: for tests that do not ask how wide an interval is."""
    monkeypatch.setattr("training.measure.bootstrap.RESAMPLES", 30)
