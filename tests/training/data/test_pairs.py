"""Counterfactual pairs: together in split and batch, varied alike, taught by their difference."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.bright import TINY, Quiet, bright_run, dataset_of, log_of, train
from training.data.datasets.annotations import read_annotations
from training.data.pairs import leaders, shuffled
from training.errors import DataError
from training.learn.frozen_features import compute_features
from training.learn.head_phase import HeadPhase
from training.learn.learner import Learner, Phase
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer
from training.learn.whole_phase import WholePhase
from training.losses import difference_loss
from training.simulator import dataset
from training.simulator.dataset import write_dataset


@pytest.fixture
def run(paired: Path) -> RunSpec:
    return bright_run(
        paired,
        head_epochs=3,
        head_batch=6,
        epochs=3,
        batch=6,
        pairs=0.5,
        blanking=0.5,
        flip=0.5,
        colour=0.2,
        validation=0.25,
    )


def test_the_pairs_of_the_simulator_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the annotations, which need no picture."""
    monkeypatch.setattr(dataset, "render", lambda job, out: (out / job.video).write_bytes(b"video"))
    write_dataset("vault", 2, 5, tmp_path / "pairs", pairs=True, test_share=0, workers=1)
    assert leaders(read_annotations(tmp_path / "pairs")).tolist() == [0, 0, 0, 0, 4, 4, 4, 4]


def test_a_pair_of_which_one_is_missing(paired: Path) -> None:
    clips = read_annotations(paired)
    with pytest.raises(DataError, match=r"pair 0 of .* has the roles \['faulty'\], need one clean"):
        leaders(clips[1:])


def test_the_order_keeps_faulty_clips_behind_their_clean_one() -> None:
    leader = np.array([0, 1, 2, 3, 4, 0, 2, 2])  # 5 is the faulty one of 0; 6 and 7 are those of 2
    seen = set()
    for seed in range(40):
        order = shuffled(np.random.default_rng(seed), np.arange(8), leader).tolist()
        assert sorted(order) == list(range(8))
        for clean, *faulty in ((0, 5), (2, 6, 7)):
            place = order.index(clean) + 1
            assert order[place : place + len(faulty)] == faulty
        seen.add(tuple(order))
    assert len(seen) > 20


def test_without_pairs_the_order_is_what_it_was() -> None:
    clips = np.arange(3, 20)
    expected = np.random.default_rng(3).permutation(clips)
    np.testing.assert_array_equal(
        shuffled(np.random.default_rng(3), clips, np.arange(20)), expected
    )


def test_the_loss_by_hand() -> None:
    leader = np.array([0, 1, 0, 1, 4])
    clips = np.array([4, 1, 3, 2, 0])
    costs = np.array([1, 1, 2, 8, 1], np.float32)
    predicted = torch.tensor([7.0, 50.0, 44.0, 30.0, 40.0])
    wanted = torch.tensor([9.0, 60.0, 50.0, 38.0, 42.0])
    # of 1 and 3: −6 for −10, usually 8; of 0 and 2: −10 for −4, usually 2
    loss = difference_loss(predicted[:, None], wanted[:, None], clips, leader, costs)
    assert loss.item() == pytest.approx(((4 / 8) ** 2 + (6 / 2) ** 2) / 4)
    both = difference_loss(
        torch.stack([predicted, wanted], 1), wanted[:, None].expand(5, 2), clips, leader, costs
    )
    assert both.item() == pytest.approx(loss.item() / 2)  # the second output is right
    alone = difference_loss(predicted[:2, None], wanted[:2, None], clips[:2], leader, costs)
    assert alone.item() == 0


def test_what_a_kind_of_fault_usually_costs(run: RunSpec) -> None:
    """From the pairs to learn from alone; the bright clips name no kind."""
    dataset = dataset_of(run)
    faulty = [n for n in dataset.training if dataset.leader[n] != n]
    differences = dataset.judged[faulty] - dataset.judged[dataset.leader[faulty]]
    usual = float(np.sqrt(np.mean(differences**2)))
    for clip, leader in enumerate(dataset.leader):
        assert dataset.pair_costs[clip] == pytest.approx(1 if clip == leader else usual)


def test_a_pair_is_never_split_by_validation(run: RunSpec) -> None:
    dataset = dataset_of(run)
    sides = {int(clip): "validation" for clip in dataset.validation}
    assert len(dataset.validation) > 2
    for clip, leader in enumerate(dataset.leader):
        assert sides.get(clip) == sides.get(int(leader))


@pytest.mark.parametrize(
    "phase_of",
    [WholePhase, lambda learner: HeadPhase(learner, compute_features(learner, 1, Quiet()))],
)
def test_the_clips_of_a_pair_are_varied_alike(
    run: RunSpec, tmp_path: Path, phase_of: Callable[[Learner], Phase]
) -> None:
    dataset = dataset_of(run)
    trainer = Trainer(run, dataset, RunFolder(tmp_path))
    pairs, varied = 0, set()
    for epoch in range(6):
        for batch in phase_of(trainer.learner).micro_batches(epoch, 0):
            rows = {int(clip): row for row, clip in enumerate(batch.clips)}
            for clip, row in rows.items():
                if (clean := int(dataset.leader[clip])) != clip:
                    pairs += 1
                    mate = rows[clean]
                    assert batch.starts[row] == batch.starts[mate]
                    np.testing.assert_array_equal(batch.shown[row], batch.shown[mate])
                    varied.add((int(batch.starts[row]), tuple(map(bool, batch.shown[row]))))
    assert pairs >= 6
    assert len(varied) > 3


def test_training_brings_the_differences_closer(run: RunSpec, tmp_path: Path) -> None:
    one = dataclasses.replace(TINY, fragments_used=(0,))
    run = dataclasses.replace(
        run, network=one, head_epochs=0, epochs=14, batch=4, pairs=2.0, extractor_rate=3e-3,
        blanking=0.0, flip=0.0, colour=0.0,
    )  # fmt: skip
    folder, _ = train(run, tmp_path / "run")
    values = [float(row["pairs"]) for row in log_of(folder.path)]
    assert sum(values[-6:]) < 0.5 * sum(values[:6])
