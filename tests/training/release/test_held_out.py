"""What stages are worth to the judges, measured by folds on clips that they held out."""

import shutil
from itertools import cycle
from pathlib import Path

import pytest

from tests.training.bright import rows_of, write_rows
from tests.training.command_line import succeed
from training.data.datasets.annotations import read_annotations
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.metrics import spearman
from training.paper.report.measured import measure
from training.release.cross_validated import CrossValidated
from training.release.held_out import measure_stages, score_by_run

pytestmark = pytest.mark.usefixtures("few_resamples")


def train(data: Path, out: Path, cache: Path) -> str:
    """In the precision in which clips are scored, on every processor."""
    return succeed(
        "train", "--action", "vault", "--data", data, "--out", out, "--cache", cache,
        "--resize", "32x32", "--batch", 16, "--width", 1 / 32, "--no-augment", "--folds", 3,
        "--epochs", 2, "--precision", "float32",
    )  # fmt: skip


def options_of(folder: RunFolder) -> RunSpec:
    return RunSpec.from_json(folder.options())


def test_the_folds_say_what_stages_and_fragments_are_worth(bright: Path, tmp_path: Path) -> None:
    data, out, cache = tmp_path / "data", tmp_path / "run", tmp_path / "cache"
    shutil.copytree(bright, data)
    starts = cycle(["0 8 16 24 30", "0 4 14 20 28", "0 6 10 18 30", "0 10 12 22 26", "0 2 9 16 23"])
    write_rows(data, [row | {"stage_starts": next(starts)} for row in rows_of(bright)])
    said = train(data, out, cache)
    folder = RunFolder(out)
    kept = folder.load_cross_validation()
    assert kept is not None
    figures, _ = kept
    for stage, each in figures["stages"].items():
        assert f"{stage}: a point that it contributes is worth {each['worth']:.2f}" in said
        assert each["low"] <= each["worth"] <= each["high"]
    measured = measure(out, "torch", cache=cache)
    assert measured.alone is not None
    judged = [clip.score for clip in measured.clips]
    ranked = [spearman(column, judged) for column in measured.alone.T]
    assert figures["alone_spearman"] == pytest.approx(ranked, abs=0.02, nan_ok=True)
    succeed("publish", "--run", out, "--name", "ours", "--store", tmp_path / "store")
    card = (tmp_path / "store" / "ours" / "1" / "README.md").read_text()
    sure = [stage for stage, each in figures["stages"].items() if each["low"] > 0]
    for stage, each in figures["stages"].items():
        assert f"{each['worth']:.2f} [{each['low']:.2f}, {each['high']:.2f}] |" in card
        claims = card[card.index("So ") : card.index("cannot be claimed")]
        assert (stage in claims.partition(" goes with")[0]) == (stage in sure)
    # what is scored is what the fold had predicted
    found = CrossValidated.of(folder, options_of(folder))
    scored = score_by_run(found.folders[1], found.options, found.held_by(1), "torch")
    assert scored.predicted == pytest.approx(found.scores[found.fold == 1, 0], abs=1e-3)


def test_clips_without_stages_are_left_out(bright: Path, tmp_path: Path) -> None:
    none = tmp_path / "none"
    shutil.copytree(bright, none)
    write_rows(none, [row | {"stage_starts": ""} for row in rows_of(bright)])
    out, cache = tmp_path / "run", tmp_path / "cache"
    assert "a point that it contributes" not in train(none, out, cache)
    kept = RunFolder(out).load_cross_validation()
    assert kept is not None
    assert "stages" not in kept[0]
    assert not measure_stages(RunFolder(out), options_of(RunFolder(out)), cache)
    assert all(clip.stage_starts is None for clip in read_annotations(none, "train"))
