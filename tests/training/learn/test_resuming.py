"""A run that was killed or is called again: it ends as if nothing had happened."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.bright import (
    TINY,
    Quiet,
    batches_of,
    dataset_of,
    log_of,
    train,
)
from training.choices import Precision
from training.errors import RunError
from training.learn.forward import Device
from training.learn.run_folder import RunFolder, State
from training.learn.run_spec import RunSpec
from training.learn.trainer import Precomputed, Trainer


def network_of(folder: RunFolder) -> dict[str, Tensor]:
    """The weights in the state of a run, which are not those that it keeps."""
    state = folder.load_state()
    assert state is not None
    weights: dict[str, Tensor] = state["network"]
    return weights


def stop_at(run: RunSpec, path: Path, position: dict[str, int], **options: Any) -> RunFolder:
    """As if killed when a state of this position has just been saved."""

    class Stopped(Exception):
        pass

    class Stopping(RunFolder):
        def save_state(self, state: State) -> None:
            super().save_state(state)
            if position.items() <= state["position"].items():
                raise Stopped

    folder = Stopping(path)
    folder.open(run.to_json())
    with pytest.raises(Stopped):
        Trainer(run, dataset_of(run), folder, **options).train(Quiet())
    return folder


def test_a_killed_run_ends_as_if_it_had_not_been(run: RunSpec, tmp_path: Path) -> None:
    """In the middle of an epoch; every loss and every weight is the same afterwards."""
    run = dataclasses.replace(
        run,
        network=dataclasses.replace(TINY, dropout=0.3),
        head_epochs=1,
        epochs=3,
        alpha="balance",
        blanking=0.3,
        flip=0.5,
        colour=0.1,
        zoom=0.1,
    )
    whole, _ = train(run, tmp_path / "whole")
    position = {"phase": 2, "epoch": 1, "batch": 3}
    folder = stop_at(run, tmp_path / "stopped", position, save_every=0.0)
    train(run, folder.path)
    assert log_of(folder.path) == log_of(whole.path)
    for ours, theirs in (
        (network_of(folder), network_of(whole)),
        (folder.load_weights()[0], whole.load_weights()[0]),
    ):
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("epochs", [1, 2, 3])  # until the end of an epoch, a phase, the run
def test_a_run_stopped_before_it_validates_goes_on(
    run: RunSpec, tmp_path: Path, epochs: int
) -> None:
    run = dataclasses.replace(run, head_epochs=2, epochs=1)
    step = epochs * batches_of(run)
    whole, figures = train(run, tmp_path / "whole")

    stopped = stop_at(run, tmp_path / "stopped", {"step": step}, save_every=0.0)
    folder, again = train(run, stopped.path)
    assert log_of(folder.path) == log_of(whole.path)
    assert {**again, "hours": 0} == {**figures, "hours": 0}


@pytest.mark.parametrize("phase", [1, 2])
def test_a_run_stopped_after_the_last_epoch_of_a_phase_goes_on_from_the_mean(
    run: RunSpec, tmp_path: Path, phase: int
) -> None:
    run = dataclasses.replace(run, head_epochs=2, epochs=2, average=0.5)
    whole, figures = train(run, tmp_path / "whole")

    stopped = stop_at(run, tmp_path / "stopped", {"phase": phase, "epoch": 2}, save_every=1e9)
    folder, again = train(run, stopped.path)
    assert log_of(folder.path) == log_of(whole.path)
    assert {**again, "hours": 0} == {**figures, "hours": 0}
    found = network_of(folder)
    for name, tensor in network_of(whole).items():
        assert torch.equal(found[name], tensor), name


def test_a_state_older_than_the_log_cuts_the_log(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dataclasses.replace(run, epochs=2)
    whole, _ = train(run, tmp_path / "run")
    before = log_of(whole.path)
    state = whole.load_state()
    assert state is not None
    steps = state["position"]["step"]
    assert steps == 2 * batches_of(run)
    # As if killed in the second epoch with the state of the first, and a line half written.
    folder = RunFolder(tmp_path / "again")
    folder.open(run.to_json())
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_state", lambda *_: None)  # nothing is ever saved
        Trainer(run, dataset_of(run), folder).train(Quiet())
    with (folder.path / "log.csv").open("a") as file:
        file.write(f"{steps + 1},0.1")
    train(run, folder.path)
    assert log_of(folder.path) == before


def test_a_finished_run_is_left_alone(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, epochs=1)
    folder, figures = train(run, tmp_path / "run")
    before = (folder.path / "weights.safetensors").read_bytes()
    assert train(run, tmp_path / "run")[1] == figures
    assert (folder.path / "weights.safetensors").read_bytes() == before


def test_a_folder_of_another_run_is_refused(run: RunSpec, tmp_path: Path) -> None:
    train(dataclasses.replace(run, epochs=1), tmp_path / "run")
    with pytest.raises(RunError, match="epochs was 1, is 2"):
        train(dataclasses.replace(run, epochs=2), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train(run, tmp_path / "other")


def test_a_run_goes_on_in_the_precision_that_it_began_with(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that another check would trust does not change its numbers half way."""
    asked = []

    def device(precision: Precision, *_: object) -> Device:
        asked.append(precision)
        return Device("cpu", torch.float32)

    monkeypatch.setattr("training.learn.run_device.trusted_device", device)
    run = dataclasses.replace(run, precision="bfloat16", epochs=1)
    folder, _ = train(run, tmp_path / "run")
    train(run, tmp_path / "run")  # has ended, and computes nothing
    state = folder.load_state()
    assert state is not None
    state["position"]["phase"] = 2
    folder.save_state(state)
    train(run, tmp_path / "run")
    folder = RunFolder(tmp_path / "other")
    folder.open(run.to_json())
    Trainer(run, dataset_of(run), folder, precomputed=Precomputed("float32", None))
    assert asked == ["bfloat16", "float32", "float32"]
