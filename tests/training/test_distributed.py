"""Several processes make the steps that one would of all their clips; so do micro-batches."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.network_spec import Normalisation
from tests.training.bright import SMALL, SPEC, TINY, bright_run, dataset_of, train
from tests.training.together import call_together, train_together
from training.data.batches import Variation, full, make_batch
from training.distributed import ALONE, Processes, joined
from training.errors import RunError
from training.learn.forward import Device
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer
from training.learn.training_step import TrainingStep
from training.learn.whole_phase import WholePhase

TERMS = ("loss", "regression", "ranking", "alpha", "penalty")


@pytest.fixture
def run(bright: Path) -> RunSpec:
    """Nothing that depends on which clips are in a forward pass together, but the loss."""
    return bright_run(
        bright,
        clip=SPEC,
        network=dataclasses.replace(
            TINY, normalisation="none", head_channels=(4, 4), head_hidden=(8, 8)
        ),
        head_epochs=1,
        head_variants=1,
        head_batch=24,
        epochs=2,
        extractor_rate=1e-3,
        rate=1e-3,
        alpha="balance",
        beta=1e-4,
        blanking=0.0,
        shift=False,
        precision="float32",
    )


def make_steps(run: RunSpec, processes: Processes) -> dict[str, Any]:
    """Three steps of the same seven clips, among them three pairs; their figures, the weights."""
    with processes.leader_first():
        dataset = dataset_of(run)
    leader = dataset.leader
    pairs = np.flatnonzero(leader != np.arange(len(leader)))
    one, two, three = np.intersect1d(dataset.training, pairs)[:3]
    single = np.setdiff1d(dataset.training, [pairs, leader[pairs]])[0]
    clips = np.array([single, leader[one], leader[two], one, two, leader[three], three])
    variation = Variation(shift=True, blanking=run.blanking, augmentation=run.augmentation)
    trainer = Trainer(run, dataset, RunFolder(Path()), processes=processes)
    phase = WholePhase(trainer.learner)
    step = TrainingStep(trainer.learner, phase, torch.optim.Adam(phase.groups))
    figures = []
    for number in range(3):
        part = processes.share(clips)
        draws = [variation.draw(run.clip, 0, (number, 0), int(clip)) for clip in leader[part]]
        batch = make_batch(dataset.cache, run.clip, part, draws)
        figures.append(step([batch], number, 1.0))
    return {"figures": figures, "network": trainer.learner.network.state_dict()}


def save_steps(run: RunSpec, path: Path) -> None:
    with joined() as processes:
        made = make_steps(run, processes)
        if processes.leads:
            torch.save(made, path)


def log_of(folder: RunFolder) -> list[dict[str, float]]:
    with (folder.path / "log.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.mark.timeout(1000)
@pytest.mark.parametrize(
    ("beta", "normalisation", "noise"), [(1e-4, "none", 1e-5), (0.0, "batch", 5e-3)]
)
def test_two_processes_are_one_with_twice_the_batch(
    run: RunSpec, tmp_path: Path, beta: float, normalisation: Normalisation, noise: float
) -> None:
    """Without the penalty the extractors have no gradient while the head is trained alone.

    With batch normalisation the head phase uses the statistics of the whole batch, and all after
    it those that it left. Adam makes of a gradient that is rounding noise, as that of a bias
    before a normalisation is, a step like any other, of up to 1e-3; hence `noise`.
    """
    network = dataclasses.replace(run.network, normalisation=normalisation)
    run = dataclasses.replace(run, beta=beta, network=network, frozen_norm=True)
    whole, _ = train(run, tmp_path / "whole")
    halves = dataclasses.replace(run, batch=4, processes=2)
    folder = RunFolder(tmp_path / "halves")
    folder.open(halves.to_json())
    train_together(2, folder.path)
    expected, found = log_of(whole), log_of(folder)
    steps = full(len(dataset_of(run).training), 8)
    assert len(found) == len(expected) == (1 + 2) * steps
    for one, two in zip(expected, found, strict=True):
        there = pytest.approx({n: one[n] for n in TERMS}, rel=max(1e-4, 2 * noise))
        assert {n: two[n] for n in TERMS} == there
    assert any(row["ranking"] > 0 for row in found)
    state, found_state = whole.load_state(), folder.load_state()
    assert state is not None
    assert found_state is not None
    for name, weights in state["network"].items():
        found_weights = found_state["network"][name]
        torch.testing.assert_close(found_weights, weights, rtol=1e-5, atol=noise)


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("count", [2, 3])
def test_unequal_shares_and_divided_pairs_make_the_steps_of_the_whole(
    run: RunSpec, paired: Path, tmp_path: Path, count: int
) -> None:
    run = dataclasses.replace(
        run, data=(str(paired),), pairs=0.5, auxiliary=1.0, blanking=0.6, shift=True
    )
    whole = make_steps(run, ALONE)
    divided = dataclasses.replace(run, processes=count)
    call_together(count, save_steps, divided, tmp_path / "made.pt")
    made = torch.load(tmp_path / "made.pt")
    assert all(figures["pairs"] > 0 < figures["auxiliary"] for figures in whole["figures"])
    for one, several in zip(whole["figures"], made["figures"], strict=True):
        assert several == pytest.approx(one, rel=1e-4)
    for name, weights in whole["network"].items():
        torch.testing.assert_close(made["network"][name], weights)


def test_shares_differ_by_at_most_one_clip() -> None:
    shares = [Processes(rank, 3).share(np.arange(10, 17)).tolist() for rank in range(3)]
    assert shares == [[10, 11, 12], [13, 14], [15, 16]]
    with pytest.raises(RunError, match="a batch of 2 clips, need at least 3: one a process"):
        Processes(0, 3).share(np.arange(2))


def test_statistics_of_a_share_are_refused_before_anything_is_read(run: RunSpec) -> None:
    network = dataclasses.replace(run.network, normalisation="batch")
    with pytest.raises(RunError, match=r"3 processes would each normalise .*--frozen-norm"):
        dataclasses.replace(run, processes=3, network=network)
    dataclasses.replace(run, processes=3, network=network, frozen_norm=True)
    head_only = dataclasses.replace(run, processes=3, network=network, epochs=0)
    assert head_only.head_epochs == 1  # which every process makes whole


def test_micro_batches_make_the_step_of_a_whole_batch_but_for_their_pairs(
    run: RunSpec, tmp_path: Path
) -> None:
    run = dataclasses.replace(run, alpha=0.0)
    whole = log_of(train(run, tmp_path / "whole")[0])
    split = log_of(train(dataclasses.replace(run, batch=4, accumulate=2), tmp_path / "split")[0])
    assert len(split) == len(whole)
    for one, two in zip(whole, split, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    # The ranking loss sums over pairs: two halves of a batch of 8 have 12 of its 28.
    assert 0 < sum(row["ranking"] for row in split[6:]) < sum(row["ranking"] for row in whole[6:])


def test_activations_computed_again_change_nothing(run: RunSpec, tmp_path: Path) -> None:
    kept, _ = train(run, tmp_path / "kept")
    again, _ = train(dataclasses.replace(run, checkpointing=True), tmp_path / "again")
    assert log_of(again) == log_of(kept)


def test_half_precision_is_asked_for_or_not(
    run: RunSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Device.best("float32").dtype == torch.float32
    assert Device.best("bfloat16").dtype == torch.bfloat16
    run = dataclasses.replace(run, clip=SMALL, epochs=1)  # it is slow where it is emulated
    whole = log_of(train(run, tmp_path / "full")[0])
    half = log_of(train(dataclasses.replace(run, precision="bfloat16"), tmp_path / "half")[0])
    fell_back = "bfloat16 is wrong on this machine" in capsys.readouterr().err
    assert (half == whole) == fell_back
    for one, two in zip(whole, half, strict=True):
        assert two["regression"] == pytest.approx(one["regression"], rel=0.1)


def test_too_few_clips_for_a_step_are_told(run: RunSpec, tmp_path: Path) -> None:
    clips = len(dataset_of(run).training)
    with pytest.raises(RunError, match=f"{clips} training clips, need 60"):
        train(dataclasses.replace(run, accumulate=30), tmp_path / "run")


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    scores = torch.ones(3)
    with joined() as processes:
        assert processes.leads
        assert processes.gather(scores) is scores
