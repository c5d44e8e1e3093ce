"""`--help` of every program and command appears at once: nothing heavy is loaded for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from model_store.__main__ import app as model_store_app
from model_store.console import COMMANDS
from training.__main__ import app as training_app

ROOT = Path(__file__).parents[1]
HEAVY = {
    "PIL", "asyncio", "av", "fastapi", "httpx", "matplotlib", "numpy", "openvino",
    "prometheus_client", "pydantic", "pydantic_core", "pydantic_settings", "ray", "safetensors",
    "scipy", "sklearn", "starlette", "tensorboard", "torch", "uvicorn",
}  # fmt: skip
PROBE = """
import contextlib, io, json, sys
from importlib import import_module
module, function, commands, heavy = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:])
program = getattr(import_module(module), function)
found = []
for words in commands:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        program([*words, "--help"], *(["program"] if function == "run" else []))
    found.append([words, len(shown.getvalue()), sorted({*heavy} & sys.modules.keys())])
print(json.dumps(found))
"""


def words_of(command: Any, *before: str) -> Iterator[list[str]]:
    """The words of a command, and of all commands below it."""
    yield list(before)
    for name, below in getattr(command, "commands", {}).items():
        yield from words_of(below, *before, name)


PROGRAMS: dict[tuple[str, str], list[list[str]]] = {
    ("model_store.__main__", "run"): list(words_of(typer.main.get_command(model_store_app))),
    ("training.__main__", "run"): list(words_of(typer.main.get_command(training_app))),
    ("service.__main__", "run"): [[]],
    ("model_store.console", "main"): [[], *([name] for name in COMMANDS)],
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program[0])
def test_nothing_heavy_is_loaded_for_help(program: tuple[str, str]) -> None:
    words = [*program, json.dumps(PROGRAMS[program]), json.dumps(sorted(HEAVY))]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert len(found) == len(PROGRAMS[program])
    for command, shown, loaded in found:
        assert shown > 100, command
        assert not loaded, f"{command} loads {loaded}"


def test_commands_below_commands_are_among_them() -> None:
    assert ["datasets", "check"] in PROGRAMS["training.__main__", "run"]
    assert ["features"] in PROGRAMS["model_store.__main__", "run"]
