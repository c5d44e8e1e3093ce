"""A run that cannot learn ends with an error that says what to change; one that can does not."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model_store.card import ClipsCard
from model_store.network import FragmentNetwork
from tests.training.bright import TINY, beside_a_readout, bright_run, dataset_of, train
from tests.training.together import train_together
from training.__main__ import app
from training.errors import RunError
from training.learn.extractor_file import write_extractor
from training.learn.health import FEW, LONG, PATIENCE, Health
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.losses import Objective

DEVIATION = 14.0  # points


@pytest.fixture
def health() -> Health:
    return Health(DEVIATION, "Lower the rates.")


def figures(fit: float, *, always_mean: float = 98.0, spread: float = 5.0) -> dict[str, float]:
    return {"fit": fit, "gradient": 1.0, "always_mean": always_mean, "spread": spread}


def alike(clips: int) -> np.ndarray:
    return np.full(clips, 77.25, np.float32)


def test_a_loss_that_jumps_ends_the_run(health: Health) -> None:
    health.after_step(1, figures(2197.0))
    with pytest.raises(RunError) as error:
        health.after_step(2, figures(1.4e9))
    for part in ("1.4e+09", "2197", "at step 2", "Lower the rates.", "--restart", "new folder"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["fit", "gradient"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_so_does_one_that_is_not_finite(health: Health, name: str, value: float) -> None:
    with pytest.raises(RunError, match=r"(nan|inf).* at step 1"):
        health.after_step(1, figures(98.0) | {name: value})


@pytest.mark.parametrize(
    "fits",
    [
        [1e9, 1e8, 98.0],  # a base of another sport begins far off
        [0.0, 40_000.0, 98.0],  # one that is perfect on the first batch has a bad one later
        [98.0, 490_000.0, 240_000.0, 98.0],  # a bad patch: an error 70 times the usual one
    ],
)
def test_a_loss_that_comes_down_does_not(health: Health, fits: list[float]) -> None:
    for step, fit in enumerate(fits, 1):
        health.after_step(step, figures(fit))


def test_what_always_the_mean_costs() -> None:
    judged = torch.tensor([[70.0], [80.0], [90.0]])
    both = Objective(alpha=0.5, beta=0.1)
    assert both.always_mean(judged).item() == pytest.approx(200 / 6 + 0.5 * 3 * 2)
    ranking = Objective(alpha=1.0, beta=0.1, regression=False)
    assert ranking.always_mean(judged).item() == pytest.approx(3 * 2)


def test_one_answer_for_all_clips_ends_the_run(health: Health) -> None:
    for epoch in range(1, PATIENCE):
        health.after_validation(LONG // 2 * epoch, alike(60), last=False)
    with pytest.raises(RunError, match=r"77\.25 for all 60 clips at step 300"):
        health.after_validation(300, alike(60), last=False)


def test_a_few_steps_prove_nothing(health: Health) -> None:
    """Running statistics of batch normalisation are not yet those of the clips."""
    for step in range(0, LONG, 5):
        health.after_validation(step, alike(60), last=False)


def test_it_ends_at_once_where_no_validation_follows(health: Health) -> None:
    with pytest.raises(RunError, match="for all 60"):
        health.after_validation(10, alike(60), last=True)


def test_a_network_that_begins_with_one_answer_and_moves_on_is_left_alone(health: Health) -> None:
    for epoch in range(10):
        predicted = alike(60)
        if epoch % PATIENCE == PATIENCE - 1:
            predicted[0] += 0.01
        health.after_validation(LONG * epoch, predicted, last=False)


def test_a_few_clips_may_get_one_answer_by_chance(health: Health) -> None:
    for epoch in range(10):
        health.after_step(LONG * epoch, figures(98.0))
        health.after_validation(LONG * epoch, alike(FEW - 1), last=epoch == 9)
    for epoch in range(10, 10 + PATIENCE - 1):
        health.after_step(LONG * epoch, figures(98.0, spread=0.0))
        health.after_validation(LONG * epoch, alike(2), last=False)
    health.after_step(LONG * 20, figures(98.0, spread=0.0))
    with pytest.raises(RunError, match="for all 2"):
        health.after_validation(LONG * 20, alike(2), last=False)


def test_equal_scores_are_rightly_given_one_answer() -> None:
    health = Health(0.0, "")
    for epoch in range(PATIENCE):
        health.after_validation(epoch, alike(60), last=True)


def test_predictions_that_are_not_finite_end_the_run(health: Health) -> None:
    with pytest.raises(RunError, match="not finite at step 7"):
        health.after_validation(7, np.array([1.0, np.nan], np.float32), last=False)


@pytest.fixture
def run(bright: Path) -> RunSpec:
    """Of a network without dropout, on 48 clips to train on and 12 to validate on."""
    return bright_run(bright, epochs=6, batch=16, extractor_rate=1e-3, rate=1e-3, blanking=0.0)


@pytest.fixture
def dead(run: RunSpec, tmp_path: Path) -> RunSpec:
    """Extractors whose units never fire; dropout makes the training batches differ all the same."""
    network = dataclasses.replace(TINY, normalisation="none", dropout=0.5)
    weights = FragmentNetwork(network, run.clip).extractors[0].state_dict()
    weights["conv1a.bias"].fill_(-1e6)
    write_extractor(tmp_path / "dead.safetensors", weights, run.clip, clips=ClipsCard.of())
    return dataclasses.replace(run, network=network, extractor=str(tmp_path / "dead.safetensors"))


def test_a_dead_network_is_ended_after_some_validations(dead: RunSpec, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"all \d+ clips at step \d+: "):
        train(dead, tmp_path / "run")
    with pytest.raises(RunError, match=r"all \d+ clips at step \d+: "):
        train(dead, tmp_path / "run")  # given again, it goes on and ends as before


@pytest.mark.parametrize("change", [{"folds": 2}, {"readout": True}])
def test_a_dead_network_is_found_without_validation_clips_and_beside_a_readout(
    dead: RunSpec, tmp_path: Path, change: dict[str, Any]
) -> None:
    """A run on all clips keeps none; what the linear path says differs from clip to clip."""
    network = dataclasses.replace(dead.network, readout="readout" in change)
    run = dataclasses.replace(dead, **change, network=network)
    with pytest.raises(RunError, match=r"the head's answer is .* for all \d+ clips at step \d+: "):
        train(run, tmp_path / "run")


def test_a_head_that_the_readout_left_out_is_no_alarm(run: RunSpec, tmp_path: Path) -> None:
    """It answers 0 on purpose, and at no rate it stays so; the extractors go on to learn."""
    deaf = beside_a_readout(run, tmp_path)
    train(dataclasses.replace(deaf, epochs=2, rate=0.0), tmp_path / "run")


def test_two_validation_clips_of_a_healthy_run_are_no_alarm(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, validation=0.03, epochs=2)
    assert len(dataset_of(run).validation) == 2
    train(run, tmp_path / "run")


def test_a_diverging_command_says_what_to_change(bright: Path, tmp_path: Path) -> None:
    words = [
        "train", "--action", "vault", "--data", bright, "--cache", tmp_path / "cache",
        "--resize", "32x32", "--batch", 16, "--fragments", "last", "--epochs", 2,
        "--rate", 100.0, "--out", tmp_path / "run",
    ]  # fmt: skip
    first, again = (CliRunner().invoke(app, [str(word) for word in words]) for _ in range(2))
    assert (first.exit_code, again.exit_code) == (2, 2)
    for part in ("the loss is", "at step 2", "--rate 100", "--max-gradient, now 100", "--restart"):
        assert part in first.output
    assert again.output.splitlines()[-1] == first.output.splitlines()[-1]


@pytest.mark.timeout(1000)
def test_all_processes_end_together(dead: RunSpec, tmp_path: Path) -> None:
    """The first one alone validates, and the other one does not wait for a step of it."""
    run = dataclasses.replace(dead, batch=8, processes=2)
    folder = RunFolder(tmp_path / "run")
    folder.open(run.to_json())
    train_together(2, folder.path)
    texts = [(folder.path / f"rank-{rank}").read_text() for rank in range(2)]
    assert texts[0] == texts[1]
    assert "for all 15 clips" in texts[0]
