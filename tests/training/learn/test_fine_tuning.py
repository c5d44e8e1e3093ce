"""From a published base to a checkpoint of one's own: other scores, few clips, intervals."""

import dataclasses
import json
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
import torch

from model_store.card import HASH_DIGITS
from model_store.clip import load_clip
from model_store.scorer import Scorer
from model_store.store import Store
from tests.training.bright import (
    TINY,
    beside_a_readout,
    bright_run,
    darker_in_red,
    rows_of,
    write_bright_dataset,
    write_rows,
)
from tests.training.command_line import call, succeed
from training.data.datasets.annotations import read_annotations
from training.data.datasets.hashes import clip_hashes
from training.distributed import ALONE
from training.learn.run_folder import RunFolder
from training.learn.training_run import TrainingRun


@pytest.fixture(scope="module")
def store(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `bright@1`, which knows that brighter is better."""
    folder = tmp_path_factory.mktemp("base")
    run = bright_run(bright, network=dataclasses.replace(TINY, target="both"), validation=0.1)
    TrainingRun(run, folder / "run", None, None, 60.0, ALONE).train()
    succeed("publish", "--run", folder / "run", "--name", "bright", "--store", folder / "store")
    return folder / "store"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 clips that the base has never seen, 60 of them for training."""
    return write_bright_dataset(tmp_path_factory.mktemp("others") / "data", 72, seed=5)


def rescored(
    clips: Path, folder: Path, factor: float, extra: float = 0.0, only: Collection[str] = ()
) -> Path:
    """The same clips, or only some of them, as other judges saw them."""
    shutil.copytree(clips / "clips", folder / "clips")
    rows = [row for row in rows_of(clips) if not only or Path(row["clip"]).name in only]
    for row in rows:
        row["score"] = str(round(float(row["score"]) * factor + extra, 3))
        row["difficulty"] = ""
    write_rows(folder, rows)
    return folder


def fine_tune(store: Path, data: Path, out: Path, *words: object, code: int = 0) -> str:
    done = call("train", "--data", data, "--out", out, "--base", "bright", "--store", store, *words)
    assert done.exit_code == code, done.output
    return done.output


def measured(checkpoint: str, store: Path, data: Path, file: Path) -> dict[str, float]:
    succeed(
        "evaluate", "--checkpoint", checkpoint, "--store", store, "--data", data, "--json", file
    )
    figures: dict[str, float] = json.loads(file.read_text())
    return figures


@pytest.mark.parametrize(("factor", "extra"), [(1.0, 0.0), (0.55, 0.0), (0.1, 14.0)])
def test_other_scores_cost_nothing_of_what_the_base_knows(
    others: Path, store: Path, tmp_path: Path, factor: float, extra: float
) -> None:
    data, own = rescored(others, tmp_path / "data", factor, extra), tmp_path / "store"
    shutil.copytree(store, own)
    output = fine_tune(own, data, tmp_path / "run", "--validation", 0.2)
    assert "base, brought to the scale of these scores: Spearman" in output
    assert "ridge regression on the extractors' features: Spearman" in output
    succeed("publish", "--run", tmp_path / "run", "--name", "ours", "--store", own)
    base, ours = (measured(name, own, data, tmp_path / name) for name in ("bright", "ours"))
    assert base["spearman"] > 0.8
    assert ours["spearman"] >= base["spearman"] - 0.03
    assert ours["distance_share"] < 0.6
    if factor != 1.0:
        assert base["distance_share"] > 2 * ours["distance_share"]


def test_folds_give_a_checkpoint_with_intervals(others: Path, store: Path, tmp_path: Path) -> None:
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
    assert score.trust is not None
    width = score.trust.interval.high - score.trust.interval.low
    assert 0 < width < 4 * folds["interval_width"]

    # What its folds have not measured is not published.
    (out / "cross_validation.json").rename(out / "kept.json")
    refused = call("publish", "--run", out, "--name", "ours", "--store", own)
    assert refused.exit_code == 2
    assert "its folds have not ended" in refused.output
    (out / "kept.json").rename(out / "cross_validation.json")

    # The same command goes on, and ends where it was.
    before = (out / "weights.safetensors").read_bytes()
    assert fine_tune(own, data, out, "--folds", 3).splitlines()[-1] == output.splitlines()[-1]
    assert (out / "weights.safetensors").read_bytes() == before

    # Other options are refused as long as a fold is there to lose.
    (out / "state.pt").unlink()
    (out / "weights.safetensors").unlink()
    assert "folds was 3, is 2" in fine_tune(own, data, out, "--folds", 2, code=2)

    # Begun anew with fewer folds, the others are gone.
    fine_tune(own, data, out, "--folds", 2, "--restart")
    assert sorted(path.name for path in out.glob("fold-*")) == ["fold-0", "fold-1"]


def test_epochs_that_make_it_worse_are_not_kept(others: Path, store: Path, tmp_path: Path) -> None:
    out, asked = tmp_path / "run", ("--head-epochs", 2, "--head-rate", 0.03)
    output = fine_tune(store, others, tmp_path / "one", "--validation", 0.2, *asked)
    assert "validation clips not surely better than what was there before" in output
    figures = RunFolder(tmp_path / "one").load_weights()[1]
    assert figures["phase"] == "readout"
    assert figures["spearman"] == figures["starting_points"]["readout"]["spearman"]
    assert f"validation: Spearman {figures['spearman']:.4f}" in output

    output = fine_tune(store, others, out, "--folds", 3, *asked)
    assert "kept: readout" in output
    _, figures = RunFolder(out).load_weights()
    assert figures["phase"] == "readout"
    # What is published says how these weights were made, and not what was tried beside them.
    own = tmp_path / "store"
    succeed("publish", "--run", out, "--name", "ours", "--store", own)
    card = Store(own).load("ours").card
    assert (card.training.options["head_epochs"], card.training.options["epochs"]) == (0, 0)
    assert card.metrics["cross_validation"]["kept"] == "readout"
    states = [RunFolder(out / f"fold-{k}").load_state() or {} for k in range(3)]
    assert card.training.hours >= sum(state["seconds"] for state in states) / 3600 * 0.99

    # Without a readout to fall back on, what is trained is kept.
    kept = tmp_path / "kept"
    fine_tune(store, others, kept, "--no-readout", *asked)
    assert RunFolder(kept).load_weights()[1]["phase"] == "head"


def test_clips_that_taught_the_base_choose_nothing(
    bright: Path, others: Path, store: Path, tmp_path: Path
) -> None:
    """The base has memorised their scores, so only the other clips decide how a line is fitted."""
    alone = fine_tune(store, bright, tmp_path / "seen", "--folds", 3, code=2)
    assert "cannot validate" in alone
    few = write_bright_dataset(tmp_path / "few", 5, seed=8)
    words = ("--data", bright, "--validation", 0.2)
    output = fine_tune(store, few, tmp_path / "mixed", *words)
    assert "of clips that the base has not seen: it is brought to the scale" in output

    # With enough of the others the line is theirs, whatever the base's own clips are said to be.
    known = set(Store(store).load("bright").card.clips.training)
    clips = read_annotations(bright, "train")
    taught = {
        clip.path.name
        for clip, digest in zip(clips, clip_hashes(clips), strict=True)
        if digest[:HASH_DIGITS] in known
    }
    halved = rescored(bright, tmp_path / "halved", 0.5, only=taught)
    fitted = (
        "--validation", 0.2, "--head-variants", 1, "--cache", tmp_path / "cache",
        "--target", "final",  # of the halved ones nothing else is known
    )  # fmt: skip
    fine_tune(store, others, tmp_path / "alone", *fitted)
    fine_tune(store, others, tmp_path / "both", "--data", halved, *fitted)
    first, second = (
        RunFolder(tmp_path / name).load_weights()[0]["head.readout"] for name in ("alone", "both")
    )
    assert first.abs().max() > 0
    torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-3)


def test_a_handful_of_clips_gets_the_base_on_its_scale(store: Path, tmp_path: Path) -> None:
    data = write_bright_dataset(tmp_path / "few", 10, seed=6)  # 9 of them for training
    output = fine_tune(store, data, tmp_path / "run", "--validation", 0.3)
    assert (
        "need at least 8 of 3 to fit a line, of clips that the base has not seen: it is brought"
        in output
    )
    points = RunFolder(tmp_path / "run").load_weights()[1]["starting_points"]
    assert points["readout"] == points["base"]


def test_a_base_is_tuned_to_another_target_and_back(
    others: Path, store: Path, tmp_path: Path
) -> None:
    """`bright` has both outputs; the scores are its own, so that nothing is lost on the way."""
    own = tmp_path / "store"
    shutil.copytree(store, own)
    assert Store(own).load("bright").card.network.target == "both"
    words = ("--validation", 0.2, "--cache", tmp_path / "cache")
    figures = []
    for name, base, more in (("one", "bright", ["--target", "final"]), ("two", "one", [])):
        out = tmp_path / name
        output = succeed(
            "train", "--data", others, "--out", out, "--base", base, "--store", own, *words, *more
        )
        assert ("target both: all 60 clips have a difficulty" in output) == (not more)
        figures.append(RunFolder(out).load_weights()[1])
        succeed("publish", "--run", out, "--name", name, "--store", own)
    assert [Store(own).load(name).card.network.target for name in ("one", "two")] == [
        "final", "both",
    ]  # fmt: skip
    final, both = figures
    assert "with_difficulty" not in final
    assert final["spearman"] > 0.8
    for each in (both, both["with_difficulty"]):
        assert each["spearman"] >= final["spearman"] - 0.05
        assert each["distance_share"] < 0.6


def test_a_checkpoint_with_two_kinds_of_clips_is_published_and_tuned_further(
    bright: Path, others: Path, tmp_path: Path
) -> None:
    """Brighter is better of `others`, darker is better of red clips; it scores both."""
    run = beside_a_readout(bright_run(bright, validation=0.1), tmp_path)
    run = dataclasses.replace(run, epochs=0)  # its extractors see more than brightness
    TrainingRun(run, tmp_path / "base", None, None, 60.0, ALONE).train()
    own, cache = tmp_path / "store", ("--cache", tmp_path / "cache")
    succeed("publish", "--run", tmp_path / "base", "--name", "bright", "--store", own)

    red = darker_in_red(tmp_path / "red", 60)
    apart = ("--new-head", "--readout", "--epochs", 0, "--rehearse", red, "--apart", *cache)
    fine_tune(own, others, tmp_path / "run", "--folds", 3, *apart)
    succeed("publish", "--run", tmp_path / "run", "--name", "two", "--store", own)
    two = Store(own).load("two")
    assert two.card.network.other_kind
    for data in (others, red):
        assert measured("two", own, data, tmp_path / "two.json")["spearman"] > 0.6

    # Further on, by the judges of other clips: both kinds come along.
    new = write_bright_dataset(tmp_path / "new", 48, seed=9)
    data = rescored(new, tmp_path / "data", 0.5)
    words = ("--base", "two", "--validation", 0.2, *cache)
    fine_tune(own, data, tmp_path / "further", *words)
    succeed("publish", "--run", tmp_path / "further", "--name", "three", "--store", own)
    assert Store(own).load("three").card.network.other_kind
    figures = measured("three", own, data, tmp_path / "three.json")
    assert figures["spearman"] > 0.6
    assert figures["distance_share"] < 0.8

    anew = (*words, "--new-head", "--readout", "--epochs", 0)
    fine_tune(own, data, tmp_path / "anew", *anew)
    assert "head.other.gate" not in RunFolder(tmp_path / "anew").load_weights()[0]
