"""`runs/paper.sh` and `learning-curve.sh`: which commands they give, and that these are real."""

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from model_store.card import ClipsCard
from model_store.network import FragmentNetwork
from tests.training.command_line import succeed
from tests.training.data.datasets.layouts import score_of, write_mit_skate
from training.__main__ import app
from training.learn.extractor_file import write_extractor
from training.learn.run_spec import PRESETS, preset_clip

ROOT = Path(__file__).parents[3]
METHODS = ["c3d-pool5-lstm", "c3d-pool5-svr", "conv-isa", "pose-dct"]
FAKE = """#!/bin/sh
printf '%s\\n' "$*" >> "$COMMANDS"
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Runs the script with a `python` that only writes down what it is asked."""
    monkeypatch.chdir(tmp_path)

    def asked(what: str, script: str = "paper.sh", **options: str) -> list[list[str]]:
        (tmp_path / "bin").mkdir(exist_ok=True)
        python, written = tmp_path / "bin" / "python", tmp_path / "commands"
        python.write_text(FAKE)
        python.chmod(0o755)
        written.write_text("")
        words = ["bash", str(ROOT / "training" / "runs" / script), what]
        path = f"{python.parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "COMMANDS": str(written), **options}
        subprocess.run(words, env=environment, check=True)
        lines = [shlex.split(line) for line in written.read_text().splitlines()]
        assert all(line[:2] == ["-m", "training"] for line in lines)
        return [line[2:] for line in lines]

    return asked


def trained(lines: list[list[str]], action: str) -> list[tuple[str, str]]:
    chosen = [line for line in lines if line[0] == "train" and action in line]
    return [
        (line[line.index("--fragments") + 1], line[line.index("--loss") + 1]) for line in chosen
    ]


@pytest.mark.parametrize(
    ("what", "dives"),
    [
        ("table-1", {(f, loss) for f in ("last", "all") for loss in ("mse", "ranking", "both")}),
        ("figure-2", {(f, "mse") for f in (*"01234567", "last", "all")}),
        ("figure-3", {("last", "both")}),
    ],
)
def test_runs_of_a_table_or_figure(
    commands: Callable[..., list[list[str]]], what: str, dives: set[tuple[str, str]]
) -> None:
    lines = commands(what)
    assert set(trained(lines, "diving")) == dives
    assert len(trained(lines, "diving")) == len(dives)
    report = lines[-1]
    outs = [line[line.index("--out") + 1] for line in lines if line[0] == "train"]
    assert report[0] == "report"
    assert [each for word, each in itertools.pairwise(report) if word == "--run"] == outs


def test_everything_has_every_run_once(commands: Callable[..., list[list[str]]]) -> None:
    lines = commands("all")
    assert len(trained(lines, "vault")) == len(set(trained(lines, "vault"))) == 6 + 5
    assert len(trained(lines, "skating")) == len(set(trained(lines, "skating"))) == 6 + 8
    simulated = [(values(line, "--action"), values(line, "--out")) for line in lines[:-1]
                 if line[0] == "simulate"]  # fmt: skip
    assert simulated == [
        (["diving"], ["data/simulated-diving"]),
        (["vault"], ["data/simulated-vault"]),
        (["skating"], ["data/simulated-skating"]),
        (["skating"], ["runs/paper/skating-clips"]),
    ]
    methods = [line[line.index("--method") + 1] for line in lines if line[0] == "baseline"]
    assert sorted(methods) == sorted(3 * METHODS)


def test_baselines_are_of_the_runs_size_and_have_poses_or_are_left_out(
    commands: Callable[..., list[list[str]]],
) -> None:
    lines = commands(
        "table-2", PRESET="paper", VAULT_KIND="aqa-7-vault", EXTRACTOR="c3d.safetensors"
    )
    asked = [" ".join(line) for line in lines if line[0] == "baseline"]
    assert len(asked) == 3 * len(METHODS) - 1
    assert all("--preset paper" in line for line in asked)
    assert not any("pose-dct --action vault" in line for line in asked)
    lines = commands("table-2", VAULT_KIND="aqa-7-vault", POSES="poses")
    [posed] = [line for line in lines if {"baseline", "pose-dct", "vault"} <= set(line)]
    assert posed[posed.index("--poses") + 1] == "poses/vault"


def test_fc6_is_that_of_published_weights(commands: Callable[..., list[list[str]]]) -> None:
    lines = commands("table-2", VAULT="", SKATING="", FOLDS="5", C3D="c3d.safetensors")
    found = [line for line in lines if {"c3d-lstm", "c3d-svr"} & set(line)]
    assert [values(line, "--extractor") for line in found] == 2 * [["c3d.safetensors"]]
    assert all(values(line, "--preset")[-1] == "paper" for line in found)
    assert all(values(line, "--folds") == ["5"] for line in found)


def test_the_papers_preset_is_left_as_it_is(commands: Callable[..., list[list[str]]]) -> None:
    lines = commands("figure-3", PRESET="paper", VAULT="", SKATING="", EXTRACTOR="c3d.safetensors")
    assert [line[0] for line in lines] == ["simulate", "train", "report"]
    assert not {"--resize", "--epochs", "--rate", "--batch"} & set(lines[1])
    assert "c3d.safetensors" in lines[1]


def test_the_commands_are_real(commands: Callable[..., list[list[str]]]) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for line in commands("all"):
        if line[0] in group.commands:
            group.commands[line[0]].make_context(line[0], line[1:])


def values(line: list[str], option: str) -> list[str]:
    return [after for word, after in itertools.pairwise(line) if word == option]


def test_by_folds_nothing_is_kept_for_validation_and_baselines_are_in_the_same_folds(
    commands: Callable[..., list[list[str]]],
) -> None:
    lines = commands(
        "all",
        VAULT="",
        SKATING="",
        FOLDS="5",
        SEEDS="0 1",
        BASE="diving@4",
        TRAIN="--target both",
        MORE="x y",
    )
    trains = [line for line in lines if line[0] == "train"]
    assert len(trains) == 2 * (6 + 8)
    assert all(values(line, "--folds") == ["5"] for line in trains)
    assert all(values(line, "--base") == ["diving@4"] for line in trains)
    assert all(values(line, "--target")[-1] == "both" for line in trains)
    assert not any("--validation" in line for line in trains)
    baselines = [line for line in lines if line[0] == "baseline"]
    assert all(values(line, "--folds") == ["5"] for line in baselines)
    assert sorted(values(line, "--method")[0] for line in baselines) == METHODS
    checkpoints = [values(line, "--checkpoint") for line in baselines]
    assert [each for each in checkpoints if each] == 2 * [["diving@4"]]
    outs = [values(line, "--out")[0] for line in trains]
    assert len(set(outs)) == len(outs)
    assert values(lines[-1], "--run") == [*outs, "x", "y"]
    assert {value for line in trains for value in values(line, "--seed")} == {"0", "1"}


def test_programmes_start_from_an_extractor_that_others_have_taught(
    commands: Callable[..., list[list[str]]],
) -> None:
    """Where none is given: no checkpoint of skating is shipped."""
    options = {"DIVING": "", "VAULT": "", "SKATING": "data/skate", "SKATING_KIND": "mit-skate"}
    lines = commands("table-2", **options)
    asked = [line[0] for line in lines]
    assert asked[:2] == ["simulate", "pretrain"]
    assert values(lines[1], "--data") == values(lines[0], "--out") != ["data/skate"]
    [taught] = values(lines[1], "--out")
    others = [line for line in lines[2:-1] if line[0] == "train" or "c3d-pool5-svr" in line]
    assert len(others) == 6 + 1
    for line in others:
        assert values(line, "--extractor") == [f"{taught}/extractor.safetensors"]
        assert (values(line, "--data"), values(line, "--kind")) == (["data/skate"], ["mit-skate"])
        assert "--base" not in line
    assert not any("pose-dct" in line for line in lines)  # it has no poses
    given = commands("table-2", **options, EXTRACTOR="c3d.safetensors", PRESET="paper")
    assert "pretrain" not in [line[0] for line in given]
    assert all(values(line, "--extractor") == ["c3d.safetensors"]
               for line in given if line[0] == "train")  # fmt: skip


def test_scores_in_no_unit_are_asked_for(commands: Callable[..., list[list[str]]]) -> None:
    usual = commands("table-1", VAULT="", SKATING="")
    assert not any("--from-zero" in line for line in usual)
    more = commands("table-1", VAULT="", SKATING="", FROM_ZERO="yes")
    zero = [line for line in more if "--from-zero" in line]
    assert [line for line in more[:-1] if line not in zero] == usual[:-1]
    assert {(*values(line, "--fragments"), *values(line, "--loss")) for line in zero} == {
        ("last", "ranking"),
        ("all", "ranking"),
    }
    assert len({values(line, "--out")[0] for line in more if line[0] == "train"}) == 6 + 2
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for line in more:
        group.commands[line[0]].make_context(line[0], line[1:])


def test_a_learning_curve_has_three_starts(commands: Callable[..., list[list[str]]]) -> None:
    lines = commands(
        "data/dives", "learning-curve.sh", CLIPS="20 50", SEEDS="0 1", BASE="mine@2", STORE="store"
    )
    trains = [line for line in lines if line[0] == "train"]
    assert len(trains) == len({values(line, "--out")[0] for line in trains}) == 3 * 2 * 2
    starts = [
        (tuple(values(line, "--base")), "--new-head" in line, "--readout" in line)
        for line in trains
    ]
    assert list(dict.fromkeys(starts)) == [
        ((), False, True),
        (("mine@2",), True, True),
        (("mine@2",), False, False),
    ]
    assert all(values(line, "--data") == ["data/dives"] for line in trains)
    assert values(lines[-1], "--run") == [values(line, "--out")[0] for line in trains]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for line in lines:
        group.commands[line[0]].make_context(line[0], line[1:])


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute on an idle machine
@pytest.mark.usefixtures("few_resamples")
def test_from_a_folder_of_programmes_to_the_table(
    commands: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    """As long as those of MIT-Skate, and as it is published: 4500 frames at 24 a second."""
    count = 15
    write_mit_skate(tmp_path / "mit-skate", count, frames=4500)
    clip = preset_clip("compact", "skating")
    random = FragmentNetwork(PRESETS["compact"]["network"], clip).extractors[0].state_dict()
    write_extractor(tmp_path / "extractor.safetensors", random, clip, clips=ClipsCard.of())
    lines = commands(
        "table-2", DIVING="", VAULT="", SKATING="mit-skate", SKATING_KIND="mit-skate",
        EXTRACTOR="extractor.safetensors", TRAIN="--head-epochs 2 --resize 32x32",
    )  # fmt: skip
    for line in lines:
        succeed(*line)
    numbers = json.loads((tmp_path / "report" / "report.json").read_text())["mit-skate"]
    assert numbers["clips"] == round(count * 71 / 171)
    scores = {score_of(number) for number in range(1, count + 1)}
    kept = json.loads((tmp_path / values(lines[-1], "--baseline")[0]).read_text())
    assert set(kept["scores"]["judged"]) < scores
    found = {(cell["loss"], len(cell["fragments"])) for cell in numbers["cells"]}
    losses = ("MSE", "ranking", "MSE + ranking")
    assert found == {(loss, used) for loss in losses for used in (1, 9)}
    table = (tmp_path / "report" / "README.md").read_text()
    assert "| method | mit-skate, 6 clips | published, MIT-Skate |" in table
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines()}
    figures = {"ConvISA": "0.45", "C3D pool5+SVR": "–", "C3D pool5+LSTM": "–"}
    for method, published in figures.items():
        assert "[" in rows[method][0]
        assert rows[method][1].strip(" |") == published
    assert rows["Pose+DCT"] == ["–", "0.35 |"]  # it needs poses
    assert rows["C3D+SVR"] == ["–", "0.53 |"]  # and this published weights
