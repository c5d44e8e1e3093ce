"""The examples of README.md and docs/, run as a reader would: `console` blocks, a real server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.store import SHIPPED
from service.machine import usable_cpus
from tests.servers import live_server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SEASON = (ROOT / "docs" / "season.md").read_text()
DOCUMENTED = "http://127.0.0.1:8000"
ARCHIVE = "data/season"  # of the service, in the examples

PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README + SEASON, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.fixture
def server(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("readme")
    cpus, archive = usable_cpus(), tmp_path / ARCHIVE
    with live_server(
        SHIPPED, folder, engine="auto", engine_threads=cpus, archive=archive
    ) as server:
        yield server.url


def test_every_example_works(server: str, tmp_path: Path) -> None:
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    answers = {}
    for command in COMMANDS:
        run = subprocess.run(
            command.replace(DOCUMENTED, server),
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"
        if command.startswith("curl"):
            assert "problems" not in run.stdout, f"{command}\n{run.stdout}"
        if command.startswith("curl") and "/score" in command:
            answers[command] = json.loads(run.stdout)
    assert len(answers) == 4
    [kept] = (tmp_path / ARCHIVE).glob("*/judged.json")
    assert json.loads(kept.read_text())["score"] == 78.4
    for program in PROGRAMS:
        run = subprocess.run(
            [sys.executable, "-c", program.replace(DOCUMENTED, server)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, f"{program}\n{run.stdout}\n{run.stderr}"
    [documented] = map(json.loads, re.findall(r"```json\n(.*?)```", README, re.DOTALL))
    for command, answer in answers.items():
        contributions = [fragment["contribution"] for fragment in answer["fragments"]]
        total = answer["baseline"] + sum(contributions)
        assert total == pytest.approx(answer["score"], abs=1e-3), command
        assert documented.keys() <= answer.keys()
        assert documented["fragments"][0].keys() <= answer["fragments"][0].keys()
        assert documented["checkpoint"].keys() <= answer["checkpoint"].keys()
    first = next(iter(answers.values()))
    [shown] = documented["fragments"]
    for said, is_so in (
        (documented, first),
        (documented["interval"], first["interval"]),
        (shown, first["fragments"][shown["index"]]),
    ):
        for name, value in said.items():
            if isinstance(value, float):
                assert is_so[name] == pytest.approx(value, abs=0.03), name
    assert documented["checkpoint"]["version"] == first["checkpoint"]["version"]


def test_a_newcomer_can_read_it_in_one_go() -> None:
    assert len(README.splitlines()) <= 250


def test_the_map_is_true() -> None:
    """Every folder that the map names is there, and every package and room is in the map."""
    [block] = re.findall(r"## Map\n.*?```text\n(.*?)```", README, re.DOTALL)
    named = set(re.findall(r"^([\w./-]+)/ ", block, re.MULTILINE))
    for folder in named:
        assert (ROOT / folder).is_dir(), folder
    for package in ("model_store", "service", "training"):
        for room in (ROOT / package).rglob("__init__.py"):
            assert str(room.parent.relative_to(ROOT)) in named
