"""One extractor for all fragments: its gradient, its statistics, and what a run keeps of it."""

import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model_store.network import FragmentNetwork
from model_store.network_spec import Normalisation
from tests.training.bright import (
    SPEC,
    TINY,
    beside_a_readout,
    bright_run,
    dataset_of,
    train,
    train_with_stops,
)
from tests.training.learn.test_forward import REFERENCE, pixels
from training.distributed import ALONE
from training.learn.first_weights import new_network
from training.learn.forward import centred, features_by_fragment
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.tied import have_different_weights, is_tied, tie
from training.learn.trainer import Trainer
from training.learn.training_run import TrainingRun
from training.learn.whole_phase import WholePhase

SHOWN = torch.tensor([[True, True], [False, True], [True, False], [False, False]])


@pytest.fixture
def run(bright: Path) -> RunSpec:
    return bright_run(bright, max_gradient=100.0, tied=True)


def pair(normalisation: Normalisation) -> tuple[FragmentNetwork, FragmentNetwork]:
    """The same network tied and untied, with statistics that are not those of a new one."""
    torch.manual_seed(0)
    untied = FragmentNetwork(dataclasses.replace(TINY, normalisation=normalisation), SPEC)
    untied(pixels(6))
    untied.extractors[1].load_state_dict(untied.extractors[0].state_dict())
    tied = copy.deepcopy(untied)
    tie(tied)
    return tied, untied


def backward(
    network: FragmentNetwork, *, frozen: bool, checkpointing: bool = False
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Features of four clips, and gradients by extractor and parameter of a random pull."""
    features = features_by_fragment(
        network, pixels(4), SHOWN, REFERENCE, frozen=frozen, checkpointing=checkpointing
    )
    pull = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    features.backward(pull)
    gradients = [
        {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
        for one in network.extractors
    ]
    return features.detach(), gradients


@pytest.mark.parametrize(
    ("normalisation", "frozen", "checkpointing"),
    [("none", False, False), ("none", False, True), ("batch", True, False), ("batch", True, True)],
)
def test_its_gradient_is_the_sum_over_the_fragments(
    normalisation: Normalisation, frozen: bool, checkpointing: bool
) -> None:
    tied, untied = pair(normalisation)
    assert is_tied(tied)
    assert not is_tied(untied)
    before = {name: buffer.clone() for name, buffer in tied.named_buffers()}
    expected, (first, second) = backward(untied, frozen=frozen)
    got, (shared, _) = backward(tied, frozen=frozen, checkpointing=checkpointing)
    torch.testing.assert_close(got, expected)
    for name, gradient in shared.items():
        summed = first[name] + second[name]
        assert (gradient - summed).norm() <= 1e-4 * summed.norm(), name
    for name, buffer in tied.named_buffers():
        assert torch.equal(buffer, before[name])


def test_statistics_are_of_all_fragments_that_are_shown() -> None:
    tied, untied = pair("batch")
    reference = copy.deepcopy(untied.extractors[0]).train()
    tied.train()
    got, _ = backward(tied, frozen=False)
    seen = centred(pixels(4).flatten(0, 1)[SHOWN.flatten()], untied.mean)
    expected = reference(seen)
    torch.testing.assert_close(got.flatten(0, 1)[SHOWN.flatten()], expected.detach())
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(tied.extractors[1].get_buffer(name), buffer)
    # What is hidden is the answer to black frames, the same in each place.
    hidden = got.flatten(0, 1)[~SHOWN.flatten()]
    assert torch.equal(hidden, hidden[:1].expand_as(hidden))
    assert not torch.equal(hidden[0], expected[0])


def test_a_step_is_one_batch_through_one_extractor(
    run: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Trainer(run, dataset_of(run), RunFolder(Path("nowhere"))).learner
    phase = WholePhase(learner)
    extractor, sizes = learner.network.extractors[0], []
    forward = extractor.forward

    def logged(x: Tensor) -> Tensor:
        sizes.append(len(x))
        features: Tensor = forward(x)
        return features

    monkeypatch.setattr(extractor, "forward", logged)
    [batch, *_] = phase.micro_batches(0, 0)
    phase.features(batch)
    assert sizes == [int(batch.shown.sum())]
    parameters = phase.groups[0]["params"]
    assert isinstance(parameters, list)
    assert len(parameters) == len(list(extractor.parameters()))


@pytest.mark.parametrize("frozen_norm", [True, False])
def test_a_run_keeps_equal_copies_that_have_learned(
    run: RunSpec, tmp_path: Path, frozen_norm: bool
) -> None:
    if frozen_norm:  # which wants lower rates
        run = dataclasses.replace(run, frozen_norm=True, extractor_rate=3e-3, rate=1e-2)
    start = new_network(run, dataset_of(run)).state_dict()
    folder, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.7
    weights = load_file(folder.path / "weights.safetensors")
    assert weights.keys() == FragmentNetwork(run.network, run.clip).state_dict().keys()
    for name, value in weights.items():
        if name.startswith("extractors.0."):
            assert torch.equal(value, weights[name.replace(".0.", ".1.", 1)]), name
            assert torch.equal(start[name], start[name.replace(".0.", ".1.", 1)]), name
    assert not torch.equal(
        weights["extractors.0.conv1a.weight"], start["extractors.0.conv1a.weight"]
    )


def test_a_stopped_run_ends_as_if_it_had_not_been(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(
        beside_a_readout(run, tmp_path), head_epochs=1, head_rate=1e-2, head_variants=2, epochs=2,
        batch=16, folds=3, fold=0, average=0.5, extractor_rate=1e-4, rate=1e-3, blanking=0.3,
    )  # fmt: skip
    whole, figures = train(run, tmp_path / "whole")
    folder, again = train_with_stops(run, tmp_path / "stopped")
    assert {**again, "hours": 0} == {**figures, "hours": 0}
    for name, tensor in whole.load_weights()[0].items():
        assert torch.equal(folder.load_weights()[0][name], tensor), name
    ours, theirs = (each.load_predictions("trained") for each in (folder, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def base_of(run: RunSpec) -> Any:
    torch.manual_seed(7)
    network = FragmentNetwork(run.network, run.clip)
    network(pixels(6))
    card = SimpleNamespace(network=run.network, clips=None)
    return SimpleNamespace(reference="base@1", spec=run.clip, network=network.eval(), card=card)


@pytest.mark.parametrize("new_head", [True, False])
def test_extractors_of_a_base_that_differ_start_from_their_mean(
    run: RunSpec, new_head: bool
) -> None:
    base = base_of(run)
    assert have_different_weights(base.network.extractors)
    run = dataclasses.replace(run, base="base@1", new_head=new_head)
    network = new_network(run, dataset_of(run), base)
    first, second = (one.state_dict() for one in base.network.extractors)
    for extractor in network.extractors:
        for name, value in extractor.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    untouched = new_network(dataclasses.replace(run, tied=False), dataset_of(run), base)
    assert torch.equal(
        untouched.extractors[1].get_parameter("conv1a.weight"), second["conv1a.weight"]
    )


@pytest.mark.parametrize("alike", [True, False])
def test_a_run_says_that_they_differ(
    run: RunSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], alike: bool
) -> None:
    base = base_of(run)
    if alike:
        base.network.extractors[1].load_state_dict(base.network.extractors[0].state_dict())
    run = dataclasses.replace(run, base="base@1")
    monkeypatch.setattr("training.learn.training_run.origin_of", lambda *_: None)
    monkeypatch.setattr(TrainingRun, "_enter", lambda *_: None)
    TrainingRun(run, Path("nowhere"), base, None, 60.0, ALONE)._open()
    warning = "the extractors of base@1 differ: all fragments start from their mean"
    assert (warning in capsys.readouterr().err) != alike


def test_one_from_a_file_stays_as_it_is(run: RunSpec, tmp_path: Path) -> None:
    run = beside_a_readout(run, tmp_path)
    given = load_file(str(run.extractor))
    network = new_network(run, dataset_of(run))
    assert is_tied(network)
    for name, value in network.extractors[1].state_dict().items():
        assert torch.equal(value, given[name]), name
