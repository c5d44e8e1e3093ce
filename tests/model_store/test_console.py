"""`fragment-scorer`, installed from a wheel as a stranger would, away from the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
import typer

from model_store.__main__ import app as model_store_app
from model_store.console import COMMANDS
from tests.clips import clip_bytes
from tests.servers import until
from training.__main__ import app as training_app

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, tracked):
        if name.startswith(("model_store/", "service/", "training/", "pyproject", "README", "LIC")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    installed = folder / "site"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-build-isolation", "--target", installed, source],
        check=True,
    )
    return installed


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A user's folder, with modules that are called as ours are."""
    for name in ("service", "training", "model_store"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    return tmp_path


def of_a_stranger(site: Path) -> dict[str, str]:
    """The environment."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("SCORING_")}
    return usual | {"PYTHONPATH": str(site)}


def call(site: Path, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, site / "bin" / "fragment-scorer", *arguments],
        cwd=folder, env=of_a_stranger(site), capture_output=True, text=True,
    )  # fmt: skip


def test_a_stranger_scores_a_clip_with_the_wheel_alone(site: Path, elsewhere: Path) -> None:
    (elsewhere / "dive.mp4").write_bytes(clip_bytes(frames=151, height=48, width=64))
    scored = call(site, elsewhere, ["score", "dive.mp4", "--engine", "torch", "--json"])
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["checkpoint"].startswith("diving@")
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import model_store; print(model_store.__file__)"],
        env=of_a_stranger(site), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(site)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_that_names_it(site: Path, elsewhere: Path, name: str) -> None:
    shown = call(site, elsewhere, [name, "--help"])
    assert shown.returncode == 0, shown.stderr
    assert f"fragment-scorer {name}" in shown.stdout


def test_the_list_of_commands_appears_at_once(site: Path, elsewhere: Path) -> None:
    began = time.monotonic()
    shown = call(site, elsewhere, ["--help"])
    assert time.monotonic() - began < 2  # 0.1 s on a quiet machine; anything heavy takes more
    assert all(name in shown.stdout for name in COMMANDS)


def test_what_is_wrong_is_named(site: Path, elsewhere: Path) -> None:
    for arguments, message in (
        (["scroe", "dive.mp4"], "there is no command scroe; did you mean score?"),
        (["serve", "--port", "web"], "SCORING_PORT"),
        (["score", "missing.mp4"], "missing.mp4"),
        ([], "usage: fragment-scorer COMMAND"),
    ):
        result = call(site, elsewhere, arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_no_command_is_left_out() -> None:
    """Those of `model_store` that are about checkpoints stand below `checkpoints`."""
    of_training = set(typer.main.get_group(training_app).commands)
    assert {name for name, each in COMMANDS.items() if "training" in each.module} == of_training
    about_clips = {
        name
        for name, each in COMMANDS.items()
        if "model_store" in each.module and not each.is_group
    }
    about_checkpoints = {"list", "show", "verify", "use", "install", "add", "export"}
    of_model_store = set(typer.main.get_group(model_store_app).commands)
    assert of_model_store == about_clips | about_checkpoints


def test_the_version_is_that_of_the_project(site: Path, elsewhere: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = call(site, elsewhere, ["--version"])
    assert shown.stdout.split() == [project["name"], project["version"]]


def test_a_stranger_serves_with_the_wheel_alone(site: Path, elsewhere: Path) -> None:
    """Also its decoders and its page come from the wheel."""
    with subprocess.Popen(
        [sys.executable, site / "bin" / "fragment-scorer", "serve", "--port", "0"],
        cwd=elsewhere, env=of_a_stranger(site) | {"SCORING_ENGINE": "torch"},
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            address = next(
                found[0]
                for line in process.stderr
                if (found := re.findall(r"http://[\d.:]+", line))
            )
            with httpx.Client(base_url=address, timeout=60) as client:
                until(lambda: client.get("/readyz").status_code == 200, 60)
                assert "<title>" in client.get("/").text
                clip = clip_bytes(frames=151, height=48, width=64)
                answer = client.post("/score", files={"clip": clip})
                assert answer.status_code == 200, answer.text
        finally:
            process.terminate()
        assert process.wait(60) == 0
