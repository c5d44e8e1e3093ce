"""Loggers of the user's: they get the figures of all steps, and cannot end a run."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.training.bright import batches_of, log_of, train
from tests.training.command_line import succeed
from training.errors import RunError
from training.learn.loggers import logger_named
from training.learn.run_spec import RunSpec

SOURCE = '''
import json

class Lines:
    """A line for each call."""

    def __init__(self, folder, options):
        self.file = (folder / "lines.jsonl").open("a")
        self.write("began", epochs=options["epochs"])

    def write(self, name, **values):
        self.file.write(json.dumps({"call": name, **values}) + "\\n")

    def step(self, step, figures):
        self.write("step", step=step, **figures)

    def validation(self, step, figures):
        self.write("validation", step=step, **figures)

    def close(self):
        self.write("closed")
        self.file.close()
'''


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "lines.jsonl").read_text().splitlines()]


def test_a_logger_of_the_users_gets_the_figures_of_the_run(
    bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command line; once for each fold, and for the run on all clips."""
    (tmp_path / "my_loggers.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    succeed("train", "--data", bright, "--action", "vault", "--out", "run", "--epochs", "1",
         "--width", "0.03125", "--resize", "16x16", "--crop", "16x16", "--folds", "2",
         "--precision", "float32", "--logger", "my_loggers:Lines")  # fmt: skip
    for folder in (tmp_path / "run", tmp_path / "run/fold-0", tmp_path / "run/fold-1"):
        lines, logged = lines_of(folder), log_of(folder)
        assert [each["call"] for each in lines[:1] + lines[-1:]] == ["began", "closed"]
        steps = [each for each in lines if each["call"] == "step"]
        assert [each["step"] for each in steps] == [int(row["step"]) for row in logged]
        assert [each["loss"] for each in steps] == [float(row["loss"]) for row in logged]
        assert steps[0]["clips_per_s"] > 0
    [validated] = [each for each in lines if each["call"] == "validation"]
    assert -1 <= validated["spearman"] <= 1


class Broken:
    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self.calls = 0

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        self.calls += 1
        if self.calls == 3:
            raise ConnectionError("the server is gone")
        assert self.calls < 3, "it is called no more"

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        raise AssertionError("it is called no more")

    def close(self) -> None:
        raise AssertionError("it is called no more")


def test_a_logger_that_fails_is_left_out(
    run: RunSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = dataclasses.replace(run, epochs=2)
    folder, _ = train(run, tmp_path / "run", loggers=[Broken])
    assert len(log_of(folder.path)) == 2 * batches_of(run)
    assert sorted((folder.path / "tensorboard").iterdir())
    warned = capsys.readouterr().err.replace("\n", " ")
    assert "logger Broken has failed and is left out: ConnectionError" in warned


def test_a_logger_that_cannot_be_made_is_left_out(
    run: RunSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(folder: Path, options: Mapping[str, Any]) -> Broken:
        raise ConnectionError("no network")

    run = dataclasses.replace(run, epochs=1)
    folder, _ = train(run, tmp_path / "run", loggers=[offline])
    assert len(log_of(folder.path)) == batches_of(run)
    warned = capsys.readouterr().err.replace("\n", " ")
    assert "logger offline has failed and is left out: ConnectionError" in warned


def test_a_run_that_has_ended_logs_nothing_more(run: RunSpec, tmp_path: Path) -> None:
    received: list[int] = []

    class Steps(Broken):
        def step(self, step: int, figures: Mapping[str, float]) -> None:
            received.append(step)

        def validation(self, step: int, figures: Mapping[str, float]) -> None:
            pass

        def close(self) -> None:
            pass

    run = dataclasses.replace(run, epochs=1)
    folder, _ = train(run, tmp_path / "run", loggers=[Steps])
    assert received == list(range(1, batches_of(run) + 1))
    received.clear()
    train(run, folder.path, loggers=[Steps])
    assert received == []


@pytest.mark.parametrize("name", ["wandb", "no_such_module:Logger", "json:NoName", ":", "json:"])
def test_a_logger_that_is_none(name: str) -> None:
    with pytest.raises(RunError, match="logger"):
        logger_named(name)
