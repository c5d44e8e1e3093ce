"""Runs of `train --folds` in a report: every clip by the weights that have not seen it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.clip import load_clip
from model_store.network import FragmentNetwork
from tests.training.bright import rows_of, write_rows
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import read_annotations
from training.errors import RunError
from training.learn.run_folder import RunFolder
from training.paper.report.measured import MeasuredRun, measure

pytestmark = pytest.mark.usefixtures("few_resamples")


def train(data: Path, out: Path, cache: Path, *words: object) -> Path:
    succeed(
        "train", "--action", "vault", "--data", data, "--out", out, "--cache", cache,
        "--resize", "32x32", "--batch", 16, "--width", 1 / 32, "--no-augment", "--folds", 3, *words,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folded(bright: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with both outputs; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "folded"
    return train(bright, out, cache, "--epochs", 0, "--readout", "--fragments", "3,4,5")


@pytest.fixture(scope="module")
def found(folded: Path, cache: Path) -> MeasuredRun:
    return measure(folded, "torch", cache=cache)


def sides(fold: Path) -> dict[str, str]:
    """Of the clips, by name, as the run of a fold has written them down."""
    with (fold / "clips.csv").open(newline="") as file:
        return {Path(row["name"]).name: row["side"] for row in csv.DictReader(file)}


def test_every_training_clip_is_measured_once_and_no_test_clip(
    found: MeasuredRun, bright: Path, folded: Path
) -> None:
    names = [clip.path.name for clip in found.clips]
    assert sorted(names) == sorted(c.path.name for c in read_annotations(bright, "train"))
    assert found.fold is not None
    for name, fold in zip(names, found.fold, strict=True):
        assert sides(folded / f"fold-{fold}")[name] == "validation"
    assert not any(found.seen.counts.values())


def test_predictions_are_those_of_the_weights_that_had_not_seen_the_clip(
    found: MeasuredRun, folded: Path
) -> None:
    assert found.fold is not None
    assert found.declared is not None
    assert found.alone is not None
    options = found.options
    for fold in range(3):
        network = FragmentNetwork(options.network, options.clip)
        network.load_state_dict(RunFolder(folded / f"fold-{fold}").load_weights()[0])
        n = int(np.flatnonzero(found.fold == fold)[0])
        clip = found.clips[n]
        frames = torch.from_numpy(load_clip(clip.path, options.clip))
        numbers = [list(options.clip.fragment_frames(k)) for k in range(options.clip.fragments)]
        fragments = torch.stack([frames[each] for each in numbers])[None]
        alone = torch.zeros_like(fragments)
        alone[:, 4] = fragments[:, 4]
        with torch.no_grad():
            [[video, execution]], [[shown, _]] = network.eval()(fragments), network(alone)
        assert found.predicted[n] == pytest.approx(float(video), abs=2e-3)
        assert clip.difficulty is not None
        assert found.declared[n] == pytest.approx(float(execution) + clip.difficulty, abs=2e-3)
        assert found.alone[n, 4] == pytest.approx(float(shown), abs=2e-3)


def test_the_report_has_the_figures_of_the_run(folded: Path, cache: Path, tmp_path: Path) -> None:
    words = ["report", "--run", folded, "--cache", cache, "--engine", "torch", "--out"]
    succeed(*words, tmp_path / "report")
    numbers = json.loads((tmp_path / "report" / "report.json").read_text())["bright"]
    [cell] = numbers["cells"]
    known = json.loads((folded / "cross_validation.json").read_text())["figures"]
    for got, expected in ((cell, known), (cell["with_difficulty"], known["with_difficulty"])):
        for name in ("spearman", "mean_distance"):
            assert got[name]["value"] == pytest.approx(expected[name], abs=1e-5)
    share = known["mean_distance"] / numbers["always_the_mean"]["value"]
    assert share == pytest.approx(known["distance_share"], rel=1e-5)
    assert (numbers["folds"], numbers["clips"]) == (3, 60)
    text = (tmp_path / "report" / "README.md").read_text()
    assert "by 3-fold cross-validation on 60 clips" in text
    assert "test clips" not in text
    assert not (folded / "test.json").exists()
    assert str(tmp_path) not in text


def test_what_takes_long_is_kept(
    folded: Path, cache: Path, found: MeasuredRun, tmp_path: Path
) -> None:
    copy = shutil.copytree(folded, tmp_path / "copy")
    kept = json.loads((copy / "alone.json").read_text())
    assert found.alone is not None
    np.testing.assert_array_equal(kept["alone"], found.alone)
    kept["alone"][0][0] = 1234.5
    (copy / "alone.json").write_text(json.dumps(kept))
    again = measure(copy, "torch", cache=cache)
    assert again.alone is not None
    assert again.alone[0, 0] == 1234.5


def test_folds_that_have_not_ended_are_refused(folded: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folded, tmp_path / "copy")
    (copy / "cross_validation.json").unlink()
    with pytest.raises(RunError, match="its folds have not ended"):
        measure(copy, "torch")


def test_a_score_that_has_changed_since_is_refused(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "clips").symlink_to(bright / "clips")
    rows = rows_of(bright)
    write_rows(data, rows)
    out = train(data, tmp_path / "run", cache, "--epochs", 0, "--readout", "--target", "final")
    rows[0]["score"] = "12.125"
    write_rows(data, rows)
    with pytest.raises(RunError, match=r"is of other data: 000\.mp4, judged .* is 12\.125 now"):
        measure(out, "torch", cache=cache)


def test_runs_of_fewer_clips_make_a_curve(bright: Path, cache: Path, tmp_path: Path) -> None:
    words = ("--epochs", 0, "--readout")
    runs = [train(bright, tmp_path / str(n), cache, *words, "--clips", n) for n in (12, 24)]
    assert json.loads((runs[0] / "run.json").read_text())["clips"] == 12
    taught = [
        {name for name, side in sides(run / "fold-1").items() if side == "training"} for run in runs
    ]
    assert taught[0] < taught[1]
    assert [len(each) for each in taught] == [12, 24]
    succeed("report", "--run", runs[0], "--run", runs[1], "--out", tmp_path / "report")
    assert [each.name for each in (tmp_path / "report").glob("*.png")] == [
        "figure-curve-bright.png"
    ]
    text = (tmp_path / "report" / "README.md").read_text()
    assert "| random extractors: a line | difficulty declared | 1 |" in text
    assert "Table 1" not in text
    numbers = json.loads((tmp_path / "report" / "report.json").read_text())["bright"]
    for run, point in zip(runs, numbers["curve"], strict=True):
        known = json.loads((run / "cross_validation.json").read_text())["figures"]
        assert point["spearman"]["value"] == pytest.approx(known["spearman"], abs=1e-5)


def test_more_clips_than_a_fold_leaves_are_refused(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    result = call(
        "train", "--action", "vault", "--data", bright, "--out", tmp_path / "run", "--cache", cache,
        "--resize", "32x32", "--epochs", 1, "--folds", 3, "--clips", 41,
    )  # fmt: skip
    assert "41 clips are to be learned from, but there are 40" in error_message(result)
