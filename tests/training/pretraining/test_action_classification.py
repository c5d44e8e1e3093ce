"""Pre-training on UCF-101: from the shell, with the official list, to a file that `train` takes."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT
from model_store.spec import DIVING
from tests.training.command_line import call, error_message, succeed
from tests.training.data.datasets.layouts import write_ucf101
from training.data.augment import Augmentation
from training.data.datasets.ucf101 import read_ucf101
from training.errors import DataError
from training.learn.first_weights import load_extractor
from training.pretraining.action_classification import ActionClassification, class_clip, held_clips

SPEC = class_clip(DIVING.with_size((32, 32), (32, 32)))


@pytest.fixture(scope="module")
def ucf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, one dark and one bright; three groups of two clips each to learn from."""
    folder = tmp_path_factory.mktemp("ucf")
    write_ucf101(folder)
    return folder


def test_whole_groups_are_kept_for_validation(ucf: Path, tmp_path: Path) -> None:
    task = ActionClassification.open(ucf, SPEC, validation=0.1, cache=tmp_path)
    clips = read_ucf101(ucf, "train").clips
    held = {clips[i].group for i in task.validation}
    assert {group.split("_")[0] for group in held} == {"ApplyEyeMakeup", "YoYo"}  # one of each
    assert not held & {clips[i].group for i in task.training}
    assert len(task.training) + len(task.validation) == len(clips) == 12
    with pytest.raises(DataError, match="class 0 has 1 groups"):
        held_clips(clips[:2], ["a", "b"], 0.1)


def test_growth_moves_no_group(ucf: Path) -> None:
    clips = [
        dataclasses.replace(clip, group=f"{clip.label} {n}")
        for n in range(40)
        for clip in read_ucf101(ucf, "train").clips
    ]
    hashes = [str(n) for n in range(len(clips))]
    before, after = (held_clips(clips[:n], hashes[:n], 0.3) for n in (240, 480))
    assert 36 < len(before) < 120
    assert after[after < 240].tolist() == before.tolist()
    assert after.tolist() != before.tolist()


def test_the_same_video_in_two_groups_is_on_one_side(ucf: Path) -> None:
    clips = read_ucf101(ucf, "train").clips
    hashes = [str(n) for n in range(len(clips))]
    copies = [dataclasses.replace(clip, group=f"{clip.group} again") for clip in clips]
    held = held_clips([*clips, *copies], [*hashes, *hashes], 0.5)
    assert 4 <= len(held) <= 20
    assert {n % len(clips) for n in held} == {n for n in held if n < len(clips)}


def test_a_fragment_comes_with_the_class_of_its_clip(ucf: Path, tmp_path: Path) -> None:
    task = ActionClassification.open(ucf, SPEC, validation=0.1, cache=tmp_path)
    batch = task.batch(np.arange(12), np.random.default_rng(0), Augmentation())
    assert batch.fragments.shape == (12, 16, 32, 32, 3)
    dark = batch.fragments.float().flatten(1).mean(dim=1) < 100
    assert batch.targets.tolist() == [0 if each else 1 for each in dark]


def test_from_the_shell_to_an_extractor(
    ucf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["training", "pretrain", "--kind", "ucf-101"])
    monkeypatch.setattr("training.pretraining.pretrain.VALIDATION_FRAGMENTS", 64)
    out = tmp_path / "ucf"
    words = [
        "pretrain", "--kind", "ucf-101", "--data", ucf, "--out", out, "--cache", tmp_path / "cache",
        "--resize", "32x32", "--steps", 24, "--batch", 12, "--rate", 2e-3,
    ]  # fmt: skip
    output = succeed(*words)
    assert "of classification: accuracy 1.000  chance 0.500" in output
    losses = [float(line.split(",")[1]) for line in (out / "log.csv").read_text().split()[1:]]
    assert len(losses) == 24
    assert np.mean(losses[-4:]) < 0.3 * losses[0]

    network = FragmentNetwork(COMPACT, SPEC)
    load_extractor(network, out / "extractor.safetensors")
    first, last = (network.extractors[k].state_dict()["conv5b.weight"] for k in (0, 3))
    assert torch.equal(first, last)


def test_one_folder_only(ucf: Path, tmp_path: Path) -> None:
    words = ("--kind", "ucf-101", "--data", ucf, "--data", tmp_path, "--out", tmp_path / "run")
    assert "2 folders of ucf-101, need one" in error_message(call("pretrain", *words))
