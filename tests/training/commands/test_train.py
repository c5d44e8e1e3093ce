"""`train` from the shell: loss terms, fragments, folds; and killed by the system in the middle."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_store.spec import SPECS
from tests.training.bright import rows_of, write_rows
from tests.training.command_line import call, succeed
from training.choices import Kind, Preset
from training.commands.train import chosen_target
from training.learn.run_folder import RunFolder

ROOT = Path(__file__).parents[3]


def words_for(bright: Path, cache: Path, *more: object) -> list[str]:
    words = [
        "train", "--action", "vault", "--data", bright, "--cache", cache, "--resize", "32x32",
        "--batch", 16, "--width", 1 / 32, "--fragments", "last", "--pad", "start", *more,
    ]  # fmt: skip
    return [str(word) for word in words]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def options_of(bright: Path, cache: Path, out: Path, *words: object) -> dict[str, object]:
    succeed(*words_for(bright, cache, "--out", out, "--epochs", 1, *words))
    options: dict[str, object] = json.loads((out / "run.json").read_text())
    return options


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("words", "alpha", "regression", "terms"),
    [
        (["--loss", "mse"], 0.0, True, {"regression"}),
        (["--loss", "ranking"], 1.0, False, {"ranking"}),
        (["--loss", "both"], "balance", True, {"regression", "ranking"}),
        (["--loss", "both", "--alpha", "0.5"], 0.5, True, {"regression", "ranking"}),
    ],
)
def test_loss_terms_alone_and_combined(
    bright: Path,
    cache: Path,
    tmp_path: Path,
    words: list[str],
    alpha: str | float,
    regression: bool,
    terms: set[str],
) -> None:
    options = options_of(bright, cache, tmp_path / "run", *words)
    assert (options["alpha"], options["regression"]) == (alpha, regression)
    for row in rows(tmp_path / "run" / "log.csv"):
        weights = {"regression": float(regression), "ranking": float(row["alpha"])}
        assert float(row["loss"]) == pytest.approx(
            sum(weights[term] * float(row[term]) for term in terms), rel=1e-5
        )


def test_folds_are_runs_whose_validations_make_up_the_training_split(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    output = succeed(*words_for(bright, cache, "--out", out, "--epochs", 1, "--folds", 3))
    assert "3 folds, every clip by a run that had not seen it: Spearman" in output
    options = [json.loads((out / f"fold-{k}" / "run.json").read_text()) for k in range(3)]
    assert [(o["fold"], o["folds"]) for o in options] == [(0, 3), (1, 3), (2, 3)]
    table = rows(out / "results.csv")
    assert [line["run"] for line in table] == ["fold-0", "fold-1", "fold-2"]
    found = [RunFolder(out / f"fold-{k}").load_weights()[1]["spearman"] for k in range(3)]
    assert [float(line["spearman"]) for line in table] == pytest.approx(found)


def without_difficulty(bright: Path, folder: Path, *clips: int) -> Path:
    """The same data set, of which some clips lack it."""
    folder.mkdir()
    (folder / "clips").symlink_to(bright / "clips")
    lines = rows_of(bright)
    for number in clips:
        lines[number]["difficulty"] = ""
    write_rows(folder, lines)
    return folder


def test_both_outputs_are_trained_where_every_clip_has_a_difficulty(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = words_for(bright, cache, "--out", out, "--epochs", 1)
    first, again = call(*words), call(*words)  # which goes on with it
    for result in (first, again):
        assert result.exit_code == 0, result.output
        assert "target both: all 60 clips have a difficulty" in result.output
    assert again.output.splitlines()[-1] == first.output.splitlines()[-1]
    assert "with the difficulty Spearman" in first.output.splitlines()[-1]
    assert json.loads((out / "run.json").read_text())["network"]["target"] == "both"
    figures = RunFolder(out).load_weights()[1]
    [line] = rows(tmp_path / "results.csv")
    known = figures["with_difficulty"]
    assert float(line["with_difficulty_spearman"]) == pytest.approx(known["spearman"])
    assert float(line["with_difficulty_distance"]) == pytest.approx(known["mean_distance"])
    assert float(line["spearman"]) == pytest.approx(figures["spearman"])


def test_one_clip_without_a_difficulty_leaves_the_final_score(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    data = without_difficulty(bright, tmp_path / "data", 0, 5)  # clip 5 is a test clip
    words = words_for(data, cache, "--out", tmp_path / "run", "--epochs", 1)
    output = succeed(*words)
    why = "target final: 1 of 60 clips have no execution, as 000.mp4: no difficulty"
    assert why in output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["network"]["target"] == "final"
    [line] = rows(tmp_path / "results.csv")
    assert line["with_difficulty_spearman"] == ""
    refused = call(*words, "--restart", "--target", "both")
    assert refused.exit_code == 2
    assert "000.mp4 has no execution: no difficulty" in refused.output


@pytest.mark.parametrize(
    ("preset", "target"),
    [
        ("compact", "both"),
        ("paper", "final"),
        ("paper-literal", "final"),
    ],
)
def test_what_knows_one_output_alone_is_not_asked_for_both(
    bright: Path, preset: Preset, target: str
) -> None:
    chosen, why = chosen_target(Kind.annotations, [bright], SPECS["vault"], preset)
    assert chosen == target
    assert target == "both" or preset in why


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_command_killed_in_the_middle_ends_as_if_it_had_not_been(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    """SIGKILL at some step of the real command, twice; then it is given again."""

    def start(out: Path) -> subprocess.Popen[str]:
        words = words_for(
            bright, cache, "--out", out, "--epochs", 6, "--head-epochs", 2, "--head-variants", 1,
            "--save-every", 0, "--alpha", "balance",
        )  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "training", *words],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "waiting for data" in output
    log = killed / "log.csv"
    for steps in (4, 9):
        process = start(killed)
        while process.poll() is None:
            if log.exists() and len(log.read_text().splitlines()) > steps:
                process.kill()
            time.sleep(0.002)
        process.communicate()
        assert process.returncode == -9
    assert len(rows(log)) < len(rows(whole / "log.csv"))
    process = start(killed)
    assert process.wait(600) == 0
    process.communicate()
    assert log.read_bytes() == (whole / "log.csv").read_bytes()
    assert (killed / "weights.safetensors").read_bytes() == (
        whole / "weights.safetensors"
    ).read_bytes()
