"""What every command refuses: rows and folders that contradict one another, scores of no scale."""

import shutil
from pathlib import Path

import pytest

from model_store.spec import ClipSpec
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.training.command_line import call, error_message
from training.data.judged_clips import open_clips


@pytest.fixture
def own(bright: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(bright, tmp_path / "own [1]", ignore=shutil.ignore_patterns(".cache"))


def test_clips_of_all_folders_by_split(
    bright: Path, spec: ClipSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    train = open_clips("annotations", [bright], spec, "train")
    test = open_clips("annotations", [str(bright)], spec, "test")
    assert (len(train), len(test)) == (60, 12)
    assert len(open_clips("annotations", [bright, bright], spec)) == 144
    assert "warning: 72 clips are there more than once" in capsys.readouterr().err


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish_tiny(Store(root), "vault")
    return root


COMMANDS = {
    "train": ("--action", "vault", "--out", "RUN"),
    "pretrain": ("--action", "vault", "--out", "RUN"),
    "evaluate": ("--checkpoint", "vault", "--store", "STORE", "--engine", "torch"),
    "calibrate": ("--checkpoint", "vault", "--store", "STORE", "--engine", "torch"),
    "baseline": ("--method", "pose-dct", "--action", "vault"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses(command: str, own: Path, store: Path, tmp_path: Path) -> None:
    places = {"RUN": tmp_path / "run", "STORE": store}
    words = [command, "--data", own, *(places.get(word, word) for word in COMMANDS[command])]
    table = (own / "annotations.csv").read_text()
    rows = table.splitlines()
    rows[3] = ",".join([*rows[3].split(",")[:2], "1250", *rows[3].split(",")[3:]])
    (own / "annotations.csv").write_text("\n".join(rows))
    assert "1 of 72 scores, as 1250 of" in error_message(call(*words))
    (own / "annotations.csv").write_text(table)
    shutil.copy(own / "clips" / "000.mp4", own / "clips" / "005.mp4")
    assert "1 clips are for training and for testing" in error_message(call(*words))


def test_familiar_clips_do_not_calibrate(own: Path, store: Path) -> None:
    words = ("calibrate", "--checkpoint", "vault", "--store", store, "--engine", "torch")
    output = error_message(call(*words, "--data", own, "--familiar", own))
    assert "60 clips are familiar ones, and there to calibrate on" in output
