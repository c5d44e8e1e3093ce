"""`runs/paper.sh` and `learning-curve.sh`: which commands they give, and that these are real."""

import itertools
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from training.__main__ import app

ROOT = Path(__file__).parents[3]
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
    assert [line[0] for line in lines].count("simulate") == 2
    methods = [line[line.index("--method") + 1] for line in lines if line[0] == "baseline"]
    assert sorted(methods) == sorted(2 * ["c3d-pool5-lstm", "c3d-pool5-svr", "pose-dct"])


def test_baselines_are_of_the_runs_size_and_have_poses_or_are_left_out(
    commands: Callable[..., list[list[str]]],
) -> None:
    lines = commands(
        "table-2", PRESET="paper", VAULT_KIND="aqa-7-vault", EXTRACTOR="c3d.safetensors"
    )
    asked = [" ".join(line) for line in lines if line[0] == "baseline"]
    assert len(asked) == 3 + 2
    assert all("--preset paper" in line for line in asked)
    assert not any("pose-dct --action vault" in line for line in asked)
    lines = commands("table-2", VAULT_KIND="aqa-7-vault", POSES="poses")
    [posed] = [line for line in lines if {"baseline", "pose-dct", "vault"} <= set(line)]
    assert posed[posed.index("--poses") + 1] == "poses/vault"


def test_the_papers_preset_is_left_as_it_is(commands: Callable[..., list[list[str]]]) -> None:
    lines = commands("figure-3", PRESET="paper", VAULT="", EXTRACTOR="c3d.safetensors")
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


def test_by_folds_nothing_is_kept_for_validation_and_baselines_are_left_out(
    commands: Callable[..., list[list[str]]],
) -> None:
    lines = commands(
        "all", VAULT="", FOLDS="5", SEEDS="0 1", BASE="diving@4", TRAIN="--target both", MORE="x y"
    )
    trains = [line for line in lines if line[0] == "train"]
    assert len(trains) == 2 * (6 + 8)
    assert all(values(line, "--folds") == ["5"] for line in trains)
    assert all(values(line, "--base") == ["diving@4"] for line in trains)
    assert all(values(line, "--target")[-1] == "both" for line in trains)
    assert not any("--validation" in line for line in trains)
    assert not any(line[0] == "baseline" for line in lines)
    outs = [values(line, "--out")[0] for line in trains]
    assert len(set(outs)) == len(outs)
    assert values(lines[-1], "--run") == [*outs, "x", "y"]
    assert {value for line in trains for value in values(line, "--seed")} == {"0", "1"}


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
