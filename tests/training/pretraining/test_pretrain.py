"""Pre-training on simulated clips: it learns, goes on after a kill, and `train` takes its file."""

import dataclasses
import shutil
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
from training.learn.extractor_file import extractor_clips, read_extractor
from training.learn.first_weights import load_extractor
from training.learn.run_folder import RunFolder
from training.pretraining.pretext_tasks import TrackRegression
from training.pretraining.pretrain import Pretrainer
from training.pretraining.pretrain_spec import PretrainSpec
from training.pretraining.pretraining_run import pretrain_extractor
from training.simulator.dataset import write_dataset

SPEC = dataclasses.replace(VAULT, resize=(32, 32), crop=(32, 32))


pytestmark = pytest.mark.usefixtures("few_fragments_validate")


@pytest.fixture
def spec(six_vaults: Path) -> PretrainSpec:
    return PretrainSpec(
        data=(str(six_vaults),),
        clip=SPEC,
        network=dataclasses.replace(TINY, head_channels=(4, 4), head_hidden=(8, 8)),
        steps=60,
        batch=8,
        rate=3e-3,
        validation=0.25,
    )


class RecordingBar(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


class CopyingBar(RecordingBar):
    """Copies a run at step 45, as a kill would leave it: with more steps logged than saved."""

    def __init__(self, run: Path, copy: Path) -> None:
        super().__init__()
        self.run, self.copy = run, copy

    def update(self, *arguments: object, **_options: object) -> None:
        if arguments[0] == 45:
            shutil.copytree(self.run, self.copy)


def run(spec: PretrainSpec, path: Path, bar: RecordingBar, **options: Any) -> Path:
    dataset = open_dataset(spec.data, spec.clip, validation=spec.validation)
    folder = RunFolder(path)
    folder.open(spec.to_json())
    task = TrackRegression(dataset, spec.seed)
    return Pretrainer(spec, task, folder, **options).train(bar)


def losses(path: Path) -> list[float]:
    lines = (path / "log.csv").read_text().splitlines()[1:]
    return [float(line.split(",")[1]) for line in lines]


def test_it_learns_goes_on_and_fits_the_network(spec: PretrainSpec, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    bar = CopyingBar(whole, killed)
    file = run(spec, whole, bar, save_every=0.0)
    values = losses(whole)
    assert len(values) == 60
    assert np.mean(values[-20:]) < 0.85 * np.mean(values[:5])
    assert bar.lines[-1].startswith("step 60: R² of state ")

    folder = RunFolder(whole)
    network = FragmentNetwork(TINY, SPEC)
    load_extractor(network, file)
    state = folder.load_state()
    assert state is not None
    weights = state["model"]
    for name, tensor in network.extractors[3].state_dict().items():
        assert torch.equal(tensor, weights[f"extractor.{name}"])

    assert losses(killed) == values[:45]
    left = RunFolder(killed).load_state()
    assert left is not None
    assert left["step"] == 44
    file_again = run(spec, killed, RecordingBar())
    assert losses(killed) == values
    assert file_again.read_bytes() == file.read_bytes()


def test_a_rate_that_is_too_high_is_an_error(spec: PretrainSpec, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot learn.*--rate, now 1e\+06"):
        run(dataclasses.replace(spec, rate=1e6), tmp_path / "run", RecordingBar())


def test_it_goes_on_from_an_extractor_and_keeps_its_clips(
    spec: PretrainSpec, tmp_path: Path
) -> None:
    short = dataclasses.replace(spec, steps=2)
    first = run(short, tmp_path / "first", RecordingBar())
    clips = extractor_clips(first)
    assert clips.training
    other = tmp_path / "vault"
    write_dataset("vault", 4, 77, other, test_share=0.0, workers=1)
    going_on = dataclasses.replace(
        short, data=(str(other),), extractor=str(first), steps=1, rate=0.0, validation=0.5
    )
    second = pretrain_extractor(going_on, tmp_path / "second")
    begun = read_extractor(first)
    for name, value in read_extractor(second).items():
        if "running" not in name and "tracked" not in name:  # statistics of batches move on
            assert torch.equal(value, begun[name])
    assert set(clips.training) < set(extractor_clips(second).training)


def test_what_it_cannot_go_on_from_is_an_error(spec: PretrainSpec, tmp_path: Path) -> None:
    first = run(dataclasses.replace(spec, steps=1), tmp_path / "first", RecordingBar())
    other = dataclasses.replace(spec.network, width=2 * spec.network.width)
    with pytest.raises(RunError, match="not an extractor of this network"):
        run(
            dataclasses.replace(spec, network=other, extractor=str(first)),
            tmp_path / "second",
            RecordingBar(),
        )
    with pytest.raises(RunError, match="not with ucf-101"):
        pretrain_extractor(
            dataclasses.replace(spec, kind="ucf-101", extractor=str(first)), tmp_path / "third"
        )
