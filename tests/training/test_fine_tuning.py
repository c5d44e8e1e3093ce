"""From a published base to a checkpoint of one's own: other scores, few clips, intervals."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from model_store.clip import load_clip
from model_store.scorer import Scorer
from model_store.store import Store
from tests.training.bright import write_bright_dataset
from tests.training.test_command_line import call
from training.datasets.annotations import ANNOTATIONS
from training.run_folder import RunFolder

EPOCHS = 20


@pytest.fixture(scope="module")
def store(bright, tmp_path_factory) -> Path:
    """With `bright@1`, which knows that brighter is better."""
    folder = tmp_path_factory.mktemp("base")
    done = call(
        "train", "--action", "vault", "--data", bright, "--out", folder / "run",
        "--resize", "32x32", "--width", 1 / 32, "--batch", 8, "--epochs", EPOCHS,
        "--rate", 1e-2, "--extractor-rate", 1e-2, "--no-augment", "--blanking", 0.3,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = call("publish", "--run", folder / "run", "--name", "bright", "--store", folder / "store")
    assert done.exit_code == 0, done.output
    return folder / "store"


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """72 clips that the base has never seen, 60 of them for training."""
    return write_bright_dataset(tmp_path_factory.mktemp("others") / "data", 72, seed=5)


def rescored(clips: Path, folder: Path, factor: float, extra: float = 0.0) -> Path:
    """The same clips as other judges saw them."""
    shutil.copytree(clips / "clips", folder / "clips")
    with (clips / ANNOTATIONS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["score"] = str(round(float(row["score"]) * factor + extra, 3))
        row["difficulty"] = ""
    with (folder / ANNOTATIONS).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def succeed(*words: object) -> str:
    done = call(*words)
    assert done.exit_code == 0, done.output
    return done.output


def fine_tune(store: Path, data: Path, out: Path, *words: object) -> str:
    return succeed(
        "train", "--data", data, "--out", out, "--base", "bright", "--store", store, *words
    )


def measured(checkpoint: str, store: Path, data: Path, file: Path) -> dict[str, float]:
    succeed(
        "evaluate", "--checkpoint", checkpoint, "--store", store, "--data", data, "--json", file
    )
    figures: dict[str, float] = json.loads(file.read_text())
    return figures


@pytest.mark.parametrize(("factor", "extra"), [(1.0, 0.0), (0.55, 0.0), (0.1, 14.0)])
def test_other_scores_cost_nothing_of_what_the_base_knows(others, store, tmp_path, factor, extra):
    data, own = rescored(others, tmp_path / "data", factor, extra), tmp_path / "store"
    shutil.copytree(store, own)
    output = fine_tune(own, data, tmp_path / "run", "--validation", 0.2)
    assert "base, brought to the scale of these scores: Spearman" in output
    assert "ridge regression on the extractors' features: Spearman" in output
    succeed("publish", "--run", tmp_path / "run", "--name", "ours", "--store", own)
    base, ours = (measured(name, own, data, tmp_path / name) for name in ("bright", "ours"))
    assert ours["spearman"] >= base["spearman"] - 0.03
    assert ours["distance_share"] < 0.6
    if factor != 1.0:
        assert base["distance_share"] > 2 * ours["distance_share"]


def test_folds_give_a_checkpoint_with_intervals(others, store, tmp_path):
    data, own, out = rescored(others, tmp_path / "data", 0.55), tmp_path / "store", tmp_path / "run"
    shutil.copytree(store, own)
    output = fine_tune(own, data, out, "--folds", 3)
    assert "3 folds, every clip by a run that had not seen it: Spearman" in output
    succeed("publish", "--run", out, "--name", "ours", "--store", own)
    ours = Store(own).load("ours")
    assert ours.card.network.readout
    assert ours.card.splits == {"train": 60, "validation": 0}
    assert len(set(ours.card.clips.training)) >= 60
    folds = ours.card.metrics["cross_validation"]
    assert (folds["clips"], folds["folds"]) == (60, 3)
    assert folds["spearman"] > 0.8
    assert 0.8 <= folds["coverage"] <= 1
    assert "cross-validation, 60 clips in 3 folds" in (ours.path / "README.md").read_text()

    # What was said out of fold holds for clips that none of the runs has seen.
    test = measured("ours", own, data, tmp_path / "ours.json")
    assert test["spearman"] > 0.8
    assert test["coverage"] >= 0.7  # of 12 clips
    [score] = Scorer(ours, "torch").score([load_clip(data / "clips" / "005.mp4", ours.spec)])
    width = score.trust.interval.high - score.trust.interval.low
    assert 0 < width < 4 * folds["interval_width"]

    # The same command goes on, and ends where it was.
    before = (out / "weights.safetensors").read_bytes()
    assert fine_tune(own, data, out, "--folds", 3).splitlines()[-1] == output.splitlines()[-1]
    assert (out / "weights.safetensors").read_bytes() == before


def test_clips_that_taught_the_base_are_in_no_fold(bright, store, tmp_path):
    done = call(
        "train", "--data", bright, "--out", tmp_path / "run", "--base", "bright",
        "--store", store, "--folds", 3,
    )  # fmt: skip
    assert done.exit_code == 2
    assert "trained bright@1 and cannot validate" in done.output


def test_epochs_that_make_it_worse_are_not_kept(others, store, tmp_path):
    out = tmp_path / "run"
    output = fine_tune(
        store, others, out, "--validation", 0.2, "--head-epochs", 2, "--head-rate", 0.03
    )
    figures = RunFolder(out).load_weights()[1]
    assert figures["phase"] == "readout"
    assert figures["spearman"] == figures["starting_points"]["readout"]["spearman"]
    assert f"validation: Spearman {figures['spearman']:.4f}" in output


def test_a_handful_of_clips_gets_the_base_on_its_scale(store, tmp_path):
    data = write_bright_dataset(tmp_path / "few", 10, seed=6)  # 9 of them for training
    output = fine_tune(store, data, tmp_path / "run", "--validation", 0.3)
    assert "need at least 8 to fit a line to: the base is brought to the scale" in output
    points = RunFolder(tmp_path / "run").load_weights()[1]["starting_points"]
    assert points["readout"] == points["base"]
