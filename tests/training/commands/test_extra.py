"""`python -m training` where the extra is not installed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from training.__main__ import NEEDED, OTHERS, app

ROOT = Path(__file__).parents[3]
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({NEEDED}))"  # as if it were not there


@pytest.fixture(scope="module")
def without_extra(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "sitecustomize.py").write_text(BLOCK)
    path = os.pathsep.join([str(folder), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path}


def command(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "training", *words],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_extra_brings_what_is_looked_for() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {each.partition(">")[0] for each in extra["optional-dependencies"]["training"]}
    packages = {"sklearn": "scikit-learn", "PIL": "pillow"}
    assert names == {packages.get(name, name) for name in NEEDED}


def test_every_command_is_among_those_that_need_it() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert group.commands.keys() == {*OTHERS, "simulate"}


@pytest.mark.parametrize(
    "words", [["train", "--data", "x"], ["datasets", "check", "x"], ["report", "--help"]]
)
def test_a_command_without_it_is_one_line_that_names_it(
    without_extra: dict[str, str], words: list[str]
) -> None:
    ended = command(without_extra, *words)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert "pip install 'fragment-scorer[training]'" in line
    assert ended.stdout == ""


def test_help_and_simulate_work_without_it(without_extra: dict[str, str], tmp_path: Path) -> None:
    helped = command(without_extra, "--help")
    assert helped.returncode == 0
    assert all(name in helped.stdout for name in ("simulate", *OTHERS))
    out = tmp_path / "dives"
    words = ["simulate", "--action", "diving", "--clips", "1", "--out", str(out)]
    assert command(without_extra, *words).returncode == 0
    assert (out / "annotations.csv").exists()


@pytest.mark.parametrize(("option", "value"), [("--sheet", "sheet.png"), ("--style", "broadcast")])
def test_what_of_simulate_needs_it_says_so(
    without_extra: dict[str, str], tmp_path: Path, option: str, value: str
) -> None:
    ended = command(without_extra, "simulate", "--out", str(tmp_path / "dives"), option, value)
    assert ended.returncode == 2
    assert option in ended.stderr
    assert "Pillow is missing" in ended.stderr
    assert not (tmp_path / "dives").exists()
