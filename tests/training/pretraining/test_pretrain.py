"""Pre-training on simulated clips: it learns, goes on after a kill, and `train` takes its file."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.network import FragmentNetwork
from model_store.spec import VAULT
from tests.training.bright import TINY, Quiet
from training.data.clip_dataset import open_dataset
from training.errors import RunError
from training.learn.first_weights import load_extractor
from training.learn.run_folder import RunFolder
from training.pretraining.pretext_tasks import TrackRegression
from training.pretraining.pretrain import Pretrainer
from training.pretraining.pretrain_spec import PretrainSpec
from training.simulator.dataset import write_dataset

SPEC = dataclasses.replace(VAULT, resize=(32, 32), crop=(32, 32))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "vault"
    write_dataset("vault", 8, 5, folder, test_share=0.0, workers=1)
    return folder


@pytest.fixture
def spec(simulated: Path) -> PretrainSpec:
    return PretrainSpec(
        data=(str(simulated),),
        clip=SPEC,
        network=dataclasses.replace(TINY, head_channels=(4, 4), head_hidden=(8, 8)),
        steps=60,
        batch=16,
        rate=1e-2,
        validation=0.25,
    )


class RecordingBar(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


def run(spec: PretrainSpec, path: Path, **options: Any) -> tuple[Path, list[str]]:
    dataset = open_dataset(spec.data, spec.clip, validation=spec.validation)
    folder = RunFolder(path)
    folder.open(spec.to_json())
    bar = RecordingBar()
    task = TrackRegression(dataset, spec.seed)
    return Pretrainer(spec, task, folder, **options).train(bar), bar.lines


def losses(path: Path) -> list[float]:
    lines = (path / "log.csv").read_text().splitlines()[1:]
    return [float(line.split(",")[1]) for line in lines]


def test_it_learns_goes_on_and_fits_the_network(spec: PretrainSpec, tmp_path: Path) -> None:
    file, lines = run(spec, tmp_path / "whole")
    values = losses(tmp_path / "whole")
    assert len(values) == 60
    assert np.mean(values[-10:]) < 0.85 * np.mean(values[:5])
    assert lines[-1].startswith("step 60: R² of state ")

    folder = RunFolder(tmp_path / "whole")
    network = FragmentNetwork(TINY, SPEC)
    load_extractor(network, file)
    state = folder.load_state()
    assert state is not None
    weights = state["model"]
    for name, tensor in network.extractors[3].state_dict().items():
        assert torch.equal(tensor, weights[f"extractor.{name}"])

    class Stopped(Exception):
        pass

    class Stopper(RecordingBar):
        def update(self, *arguments: object, **_options: object) -> None:
            if arguments[0] == 11:
                raise Stopped

    dataset = open_dataset(spec.data, spec.clip, validation=spec.validation)
    again = RunFolder(tmp_path / "again")
    again.open(spec.to_json())
    with pytest.raises(Stopped):
        Pretrainer(spec, TrackRegression(dataset, spec.seed), again, save_every=0.0).train(
            Stopper()
        )
    file_again, _ = run(spec, tmp_path / "again")
    assert losses(tmp_path / "again") == values
    assert file_again.read_bytes() == file.read_bytes()


def test_a_rate_that_is_too_high_is_an_error(spec: PretrainSpec, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot learn.*--rate, now 1e\+06"):
        run(dataclasses.replace(spec, rate=1e6), tmp_path / "run")
