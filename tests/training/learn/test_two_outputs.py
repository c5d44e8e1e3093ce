"""A network with both outputs: the final score by the video, the execution with the difficulty."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model_store.network import FragmentNetwork
from model_store.network_spec import Target
from tests.training.bright import (
    SMALL,
    TINY,
    beside_a_readout,
    bright_run,
    dataset_of,
    rows_of,
    train,
    train_with_stops,
    write_rows,
)
from training.learn.first_weights import bring_to_scale, load_base, new_network
from training.learn.learner import Learner
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer
from training.learn.training_run import describe
from training.learn.training_step import TrainingStep
from training.learn.validation import Figures, agreement
from training.learn.whole_phase import WholePhase
from training.metrics import mean_distance, spearman

MULTIPLIED = dataclasses.replace(SMALL, difficulty_rule="multiply", score_range=(0.0, 100.0))


@pytest.fixture(scope="module")
def dives(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bright clips, at difficulties of 2 to 4 that the picture does not show."""
    folder = tmp_path_factory.mktemp("dives")
    (folder / "clips").symlink_to(bright / "clips")
    rows = rows_of(bright)
    random = np.random.default_rng(0)
    for row in rows:
        difficulty = round(float(random.uniform(2, 4)), 1)
        row["score"] = str(round(float(row["score"]) * difficulty, 3))
        row["difficulty"] = str(difficulty)
    write_rows(folder, rows)
    return folder


def with_target(run: RunSpec, target: Target) -> RunSpec:
    return dataclasses.replace(run, network=dataclasses.replace(run.network, target=target))


@pytest.fixture(scope="module")
def run(dives: Path) -> RunSpec:
    return bright_run(dives, clip=MULTIPLIED, network=dataclasses.replace(TINY, target="both"))


@pytest.fixture(scope="module")
def trained(
    run: RunSpec, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Target], tuple[RunFolder, Figures]]:
    """A run with that target and its figures; trained once, not to be changed."""
    done: dict[Target, tuple[RunFolder, Figures]] = {}

    def of_target(target: Target) -> tuple[RunFolder, Figures]:
        if target not in done:
            folder = tmp_path_factory.mktemp("trained") / target
            done[target] = train(with_target(run, target), folder)
        return done[target]

    return of_target


def learner_of(run: RunSpec, weights: dict[str, Tensor] | None = None) -> Learner:
    learner = Trainer(run, dataset_of(run), RunFolder(Path("nowhere"))).learner
    if weights is not None:
        learner.network.load_state_dict(weights)
    return learner


def test_the_difficulty_tells_what_the_picture_does_not(
    run: RunSpec, trained: Callable[[Target], tuple[RunFolder, Figures]]
) -> None:
    folder, figures = trained("both")
    known = figures["with_difficulty"]
    assert known["spearman"] > max(0.7, figures["spearman"] + 0.2)
    assert known["mean_distance"] < 0.6 * figures["mean_distance"]
    assert f"with the difficulty Spearman {known['spearman']:.4f}" in describe(
        figures | {"waiting": 0.0}
    )

    # By hand, from what the network says of the clips.
    learner = learner_of(run, folder.load_weights()[0])
    dataset = learner.dataset
    predicted = WholePhase(learner).predict(dataset.validation).whole
    clips = [dataset.clips[i] for i in dataset.validation]
    judged = [clip.score for clip in clips]
    announced = predicted[:, 1] * [clip.difficulty for clip in clips]
    assert known["spearman"] == pytest.approx(spearman(announced, judged), abs=0.02)
    assert known["mean_distance"] == pytest.approx(mean_distance(announced, judged), rel=0.02)
    assert figures["mean_distance"] == pytest.approx(
        mean_distance(predicted[:, 0], judged), rel=0.02
    )
    executions = [clip.score / clip.difficulty for clip in clips]
    assert abs(predicted[:, 1].mean() - np.mean(executions)) < 1.5  # in its own unit
    again = agreement(predicted, dataset)
    assert again["with_difficulty"] == pytest.approx(known, rel=0.05)


def test_ranking_alone_and_pairs_train_both(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, regression=False, alpha=0.1, blanking=0.3)
    _, figures = train(run, tmp_path / "run")
    assert figures["with_difficulty"]["spearman"] > 0.7


def test_the_loss_is_the_mean_of_that_of_each_output_in_points(run: RunSpec) -> None:
    """And so is its gradient."""
    run = dataclasses.replace(run, alpha="balance", blanking=0.0, precision="float32")
    learner = learner_of(run)
    phase = WholePhase(learner)
    step = TrainingStep(learner, phase, torch.optim.SGD(phase.groups, lr=0.0))
    [batch] = list(phase.micro_batches(0, phase.steps * phase.accumulate - 1))
    predicted = learner.score(phase.features(batch))
    clips = [learner.dataset.clips[i] for i in batch.clips]
    factor = torch.tensor([[1.0, clip.difficulty] for clip in clips])
    judged = torch.tensor([clip.score for clip in clips])
    each = [
        run.objective(scores[:, None], judged[:, None], judged.new_zeros(()))
        for scores in (predicted * factor).unbind(1)
    ]
    total = torch.stack([loss.total for loss in each]).mean()
    weight = learner.network.head.out.weight
    [expected] = torch.autograd.grad(total, weight)
    figures = step([batch], 0, 0.0)
    assert figures["loss"] == pytest.approx(total.item(), rel=1e-4)
    torch.testing.assert_close(weight.grad, expected, rtol=1e-3, atol=1e-3)


def test_a_readout_is_fitted_to_each_output(run: RunSpec, tmp_path: Path) -> None:
    base = beside_a_readout(run, tmp_path)
    run = with_target(dataclasses.replace(base, epochs=0), "both")
    folder, figures = train(run, tmp_path / "run")
    points = figures["starting_points"]
    assert points.keys() == {"ridge", "readout"}
    for each in points.values():
        assert each["with_difficulty"]["spearman"] > each["spearman"]
    weights = folder.load_weights()[0]
    assert weights["head.readout"].shape[0] == 2
    assert (weights["head.readout"].abs().amax(dim=(1, 2)) > 0).all()
    for target in ("final", "execution"):  # each as if it were alone
        alone, predicted = train(with_target(run, target), tmp_path / target)
        row = ("final", "execution").index(target)
        torch.testing.assert_close(
            alone.load_weights()[0]["head.readout"][0], weights["head.readout"][row]
        )
        figures_of = figures if row == 0 else figures["with_difficulty"]
        assert predicted["mean_distance"] == pytest.approx(figures_of["mean_distance"])


def base_of(run: RunSpec, target: Target) -> Any:
    """A published base with that target and random weights."""
    torch.manual_seed(5)
    spec = dataclasses.replace(run.network, target=target, readout=True, other_kind=True)
    network = FragmentNetwork(spec, run.clip).eval()
    network.head.baseline.copy_(torch.tensor([55.0, 20.0][: len(spec.outputs)]))
    assert network.head.readout is not None
    assert network.head.other is not None
    for each in (network.head.readout, *network.head.other.parameters()):
        torch.nn.init.normal_(each)
    return SimpleNamespace(
        reference="base@1", spec=run.clip, network=network, card=SimpleNamespace(network=spec)
    )


@pytest.mark.parametrize(
    ("theirs", "ours", "rows"),
    [
        ("final", "both", [0, 0]),
        ("both", "final", [0]),
        ("both", "execution", [1]),
        ("execution", "both", [0, 0]),
        ("both", "both", [0, 1]),
    ],
)
def test_an_output_begins_as_the_bases_of_its_name_or_its_first(
    run: RunSpec, theirs: Target, ours: Target, rows: list[int]
) -> None:
    base = base_of(run, theirs)
    network = FragmentNetwork(dataclasses.replace(base.card.network, target=ours), run.clip).eval()
    load_base(network, base)
    fragments = torch.randint(1, 256, (3, 2, 16, *run.clip.crop, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(network(fragments), base.network(fragments)[:, rows])


@pytest.mark.parametrize("theirs", ["final", "execution", "both"])
@pytest.mark.parametrize("readout", [True, False])
def test_each_output_of_a_base_is_brought_to_its_scale(
    run: RunSpec,
    trained: Callable[[Target], tuple[RunFolder, Figures]],
    tmp_path: Path,
    theirs: Target,
    readout: bool,
) -> None:
    """What the base knows of brightness is worth points of either kind."""
    teacher = with_target(run, theirs)
    folder, _ = trained(theirs)
    base = base_of(teacher, theirs)
    base.network = FragmentNetwork(teacher.network, run.clip).eval()
    base.network.load_state_dict(folder.load_weights()[0])
    base.card.network = teacher.network
    network = dataclasses.replace(run.network, readout=readout)
    tuned = dataclasses.replace(
        run, network=network, base="base@1", readout=readout, epochs=0 if readout else 1,
        rate=0.0, extractor_rate=0.0, frozen_norm=True, head_variants=1,
    )  # fmt: skip
    folder, figures = train(tuned, tmp_path / "tuned", base=base)
    points = figures["starting_points"]
    assert points["base"]["with_difficulty"]["spearman"] > 0.8
    assert points["base"]["with_difficulty"]["distance_share"] < 0.6

    # Lines of least squares: on the clips that they were fitted to no worse than the mean.
    tuned = dataclasses.replace(tuned, base=None, readout=False, epochs=1)  # of the same shape
    learner = learner_of(tuned, folder.load_weights()[0])
    dataset = learner.dataset
    predicted = WholePhase(learner).predict(dataset.training).whole
    off = (
        dataset.announced.score(predicted, dataset.training)
        - dataset.judged[dataset.training, None]
    )
    share = np.sqrt((off**2).mean(axis=0)) / dataset.deviation
    assert (np.abs(off.mean(axis=0)) < 0.1 * dataset.deviation).all()
    assert share[0] < 1.02
    assert share[1] < 0.6
    if not readout:
        assert figures["with_difficulty"] == pytest.approx(
            points["base"]["with_difficulty"], rel=0.05
        )


def test_the_first_predictions_of_each_output_are_on_its_scale(run: RunSpec) -> None:
    network = dataclasses.replace(run.network, normalisation="none")
    larger = run.clip.with_size((32, 32), (32, 32))  # features of one pixel may hardly differ
    learner = learner_of(dataclasses.replace(run, clip=larger, network=network))
    dataset, head = learner.dataset, learner.network.head
    np.testing.assert_allclose(head.baseline, dataset.means)
    assert dataset.means[0] > 2.5 * dataset.means[1]
    with torch.no_grad():
        for extractor in learner.network.extractors:
            extractor.get_parameter("conv1a.weight").mul_(1e3)
    phase = WholePhase(learner)
    bring_to_scale(learner, phase)
    with torch.no_grad():
        predicted = torch.cat(
            [learner.score(phase.features(batch)) for batch in phase.micro_batches(0, 0)]
        )
    stray = (predicted - head.baseline).square().mean(dim=0).sqrt().numpy() / dataset.deviations
    assert stray.min() > 0.2
    assert stray.max() < 2


def test_a_stopped_run_ends_as_if_it_had_not_been(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(
        beside_a_readout(run, tmp_path), head_epochs=2, head_variants=2, epochs=2, batch=16,
        head_rate=1e-2, extractor_rate=1e-3, rate=1e-3, blanking=0.3,
    )  # fmt: skip
    run = with_target(run, "both")
    whole, figures = train(run, tmp_path / "whole")
    folder, again = train_with_stops(run, tmp_path / "stopped")
    assert {**again, "hours": 0} == {**figures, "hours": 0}
    for name, tensor in whole.load_weights()[0].items():
        assert torch.equal(folder.load_weights()[0][name], tensor), name


def test_new_networks_have_a_row_for_each_output(run: RunSpec) -> None:
    network = new_network(run, dataset_of(run))
    assert network.head.out.weight.shape[0] == network.head.baseline.shape[0] == 2
