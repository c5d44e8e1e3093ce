"""Training learns, teaches what is known, and keeps what is better."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.clip import cut, load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import SPECS, ClipSpec
from model_store.store import Store
from tests.training.bright import (
    TINY,
    Quiet,
    batches_of,
    beside_a_readout,
    dataset_of,
    log_of,
    train,
)
from training.errors import RunError
from training.learn.first_weights import new_network
from training.learn.forward import Device
from training.learn.frozen_features import compute_features
from training.learn.head_phase import HeadPhase
from training.learn.run_folder import RunFolder
from training.learn.run_spec import PRESETS, RunSpec
from training.learn.summary import summarise, write_summary
from training.learn.trainer import Trainer
from training.learn.whole_phase import WholePhase
from training.metrics import spearman
from training.release.publish import publish_run
from training.simulator.dataset import write_dataset


def test_it_learns_that_brighter_is_better(run: RunSpec, tmp_path: Path) -> None:
    """In the usual precision, with fragments hidden."""
    run = dataclasses.replace(
        run, head_epochs=2, epochs=8, rate=1e-2, blanking=0.3, precision="auto"
    )
    folder, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.8
    assert figures["distance_share"] < 0.8

    weights, _ = folder.load_weights()
    network = FragmentNetwork(run.network, run.clip)
    network.load_state_dict(weights)
    network.eval()
    dataset = dataset_of(run)
    clips = [dataset.clips[i] for i in dataset.validation]
    with torch.no_grad():
        served = [
            network(cut(torch.from_numpy(load_clip(clip.path, run.clip))[None], run.clip)).item()
            for clip in clips
        ]
    again = spearman(served, [clip.score for clip in clips])
    assert again == pytest.approx(figures["spearman"], abs=0.05)  # half precision may swap two

    steps = log_of(folder.path)
    assert [int(row["step"]) for row in steps] == list(range(1, (2 + 8) * batches_of(run) + 1))
    assert float(steps[0]["extractor_rate"]) == 0  # the head alone
    assert float(steps[-1]["extractor_rate"]) > 0
    assert sorted((folder.path / "tensorboard").iterdir())


@pytest.mark.parametrize("alpha", ["balance", 0.1])
def test_the_ranking_loss_trains_too(run: RunSpec, tmp_path: Path, alpha: Any) -> None:
    run = dataclasses.replace(run, alpha=alpha, beta=1e-4, epochs=1)
    folder, _ = train(run, tmp_path / "run")
    for row in log_of(folder.path):
        expected = (
            float(row["regression"])
            + float(row["alpha"]) * float(row["ranking"])
            + run.beta * float(row["penalty"])
        )
        assert float(row["loss"]) == pytest.approx(expected, rel=1e-5)
        assert float(row["alpha"]) > 0


@pytest.mark.parametrize(("from_mean", "least", "most"), [(True, 0.0, 3.0), (False, 9.0, 15.0)])
def test_the_ranking_loss_alone_leaves_scores_where_they_begin(
    run: RunSpec, tmp_path: Path, from_mean: bool, least: float, most: float
) -> None:
    """Judged are 10 to 15 points."""
    run = dataclasses.replace(
        run, alpha=1.0, regression=False, from_mean=from_mean, margin=0.5, rate=3e-3
    )
    _, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.8
    assert least < figures["mean_distance"] < most
    assert run.terms == ("ranking" if from_mean else "ranking, from 0")


def test_auxiliary_heads_learn_beside_the_score(run: RunSpec, tmp_path: Path) -> None:
    folder, _ = train(dataclasses.replace(run, auxiliary=1.0, epochs=4), tmp_path / "run")
    values = [float(row["auxiliary"]) for row in log_of(folder.path)]
    assert sum(values[-4:]) < 0.9 * sum(values[:4])
    assert "auxiliary" not in " ".join(folder.load_weights()[0])


def test_frozen_layers_stay_as_they_are(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, frozen_layers=2, frozen_norm=True, epochs=2)
    dataset = dataset_of(run)
    torch.manual_seed(run.seed)
    before = new_network(run, dataset).state_dict()
    folder, _ = train(run, tmp_path / "run")
    after, _ = folder.load_weights()
    changed = {
        name.split(".")[2]
        for name, value in after.items()
        if name.startswith("extractors.") and not torch.equal(value, before[name])
    }
    assert not changed & {"conv1a", "conv1a_norm", "conv2a", "conv2a_norm"}
    assert {"conv3a", "conv5b", "conv5b_norm"} <= changed


def test_what_is_known_is_taught_for_what_is_shown(tmp_path: Path) -> None:
    """In both phases, on real simulated clips: the targets are those of `PartialScores`."""
    data = tmp_path / "vault"
    write_dataset("vault", 5, 1, data, test_share=0, workers=1)
    preset = PRESETS["compact"] | {"epochs": 1, "batch": 2, "blanking": 1.0}
    preset["network"] = dataclasses.replace(TINY, target="both")
    run = RunSpec(
        data=(str(data),),
        clip=SPECS["vault"].with_size((32, 32), (32, 32)),
        teach="known",
        head_epochs=1,
        head_batch=3,
        head_variants=2,
        validation=0.4,
        **preset,
    )
    dataset = dataset_of(run)
    learner = Trainer(run, dataset, RunFolder(tmp_path / "run")).learner
    frozen = compute_features(learner, run.head_variants, Quiet())
    for phase in (HeadPhase(learner, frozen), WholePhase(learner)):
        for batch in phase.micro_batches(0, 0):
            scores = learner.target_scores(batch.clips, batch.starts, batch.shown.numpy())
            for row, clip in enumerate(batch.clips):
                shown = np.array([bool(fragment) for fragment in batch.shown[row]])
                value = dataset.partial_scores.at(int(clip), int(batch.starts[row]), shown)
                difficulty = dataset.clips[clip].difficulty
                assert not shown.all()
                expected = [value[0], value[1] + difficulty]
                np.testing.assert_allclose(scores[row].numpy(), expected, rtol=1e-6)


def test_a_phase_has_to_be_better_than_what_was_kept_before_it(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head's epochs are, the whole network's are not; the card says what made the weights."""
    run = dataclasses.replace(
        beside_a_readout(run, tmp_path),
        head_epochs=1,
        epochs=1,
        head_rate=1e-2,
        extractor_rate=1e-4,
        rate=1e-3,
    )
    compared, answers = [], iter([True, False])

    def better(
        predicted: NDArray[Any], before: NDArray[Any], judged: NDArray[Any], **_: object
    ) -> bool:
        compared.append((predicted.copy(), before.copy()))
        return next(answers)

    monkeypatch.setattr("training.learn.trainer.surely_better", better)
    folder, figures = train(run, tmp_path / "run")
    assert figures["phase"] == "head"
    (of_head, of_start), (of_all, before_all) = compared
    assert np.array_equal(before_all, of_head)
    assert not np.array_equal(of_head, of_start)
    assert not np.array_equal(of_all, of_head)
    monkeypatch.undo()
    learner = Trainer(run, dataset_of(run), RunFolder(tmp_path / "other")).learner
    learner.network.load_state_dict(folder.load_weights()[0])
    predicted = WholePhase(learner).predict(learner.dataset.validation).whole
    np.testing.assert_allclose(predicted, of_head, rtol=1e-4)

    write_summary(folder, summarise(learner.dataset, run.data, folder))
    card = publish_run(folder, Store(tmp_path / "store"), "kept").card
    assert (card.training.options["head_epochs"], card.training.options["epochs"]) == (1, 0)


def test_the_precision_is_checked_on_the_batches_of_the_run(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def device(*values: Any) -> Device:
        checked.append(values[-2:])
        return Device("cpu", torch.float32)

    monkeypatch.setattr("training.learn.run_device.trusted_device", device)
    run = dataclasses.replace(run, head_epochs=1)
    trainer = Trainer(run, dataset_of(run), RunFolder(tmp_path / "run"))
    monkeypatch.undo()
    [(learnt, forward_only)] = checked
    assert {len(batch.clips) for batch in WholePhase(trainer.learner).micro_batches(0, 0)} <= learnt
    clips = len(trainer.learner.dataset.clips)
    assert {len(part) for part in np.array_split(np.arange(clips), -(-clips // 32))} <= forward_only
    assert len(trainer.learner.dataset.validation) in forward_only


@pytest.fixture
def small(bright: Path, spec: ClipSpec) -> dict[str, object]:
    """The paper's head, whole, on narrow extractors."""
    network = dataclasses.replace(PAPER, width=1 / 32)
    return {"data": (str(bright),), "clip": spec, "network": network, "validation": 0.2}


@pytest.mark.parametrize("head", ["narrow", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_papers_preset_trains(head: str, small: dict[str, object], tmp_path: Path) -> None:
    """The 26 million weights of the whole head take most of the time."""
    if head == "narrow":
        small["network"] = dataclasses.replace(
            PAPER, width=1 / 32, head_channels=(64, 64), head_hidden=(512, 512)
        )
    run = RunSpec(**PRESETS["paper"] | small | {"epochs": 4})
    _, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.7


def test_the_literal_one_is_reported_as_unable_to_learn(
    small: dict[str, object], tmp_path: Path
) -> None:
    run = RunSpec(**PRESETS["paper-literal"] | small | {"epochs": 4})
    with pytest.raises(RunError, match=r"the loss is .* at step 2: the run cannot learn"):
        train(run, tmp_path / "run")
