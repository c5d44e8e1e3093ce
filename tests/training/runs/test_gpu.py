"""`runs/gpu.sh`, rehearsed on a CPU: no line of it runs for the first time on a borrowed GPU."""

import os
import shlex
import subprocess
import sys
import tarfile
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from model_store.__main__ import app as model_store
from training.__main__ import app as training

ROOT = Path(__file__).parents[3]
MOST_FILES, MOST_BYTES = 8, 16 << 20  # that are carried home
# Writes down what it is asked, and makes what the script then looks for; TAKES is how long each
# training takes after its last state was saved, in seconds.
FAKE = """#!/bin/sh
line= out= store= what="$2 $3"
for word; do line="$line '$word'" last=$word; done
printf '%s\\n' "$line" >> "$COMMANDS"
while [ $# -gt 0 ]; do
    case "$1" in --out) out=$2 ;; --store) store=$2 ;; esac
    shift
done
case "$what" in
    "training simulate") mkdir -p "$out"; touch "$out/annotations.csv" ;;
    "training.runs.mean_extractor"*) echo shipped > "$last" ;;
    "training pretrain") mkdir -p "$out"; echo made > "$out/extractor.safetensors"; sleep $TAKES ;;
    "training train") mkdir -p "$out"; sleep $TAKES; echo '{}' > "$out/cross_validation.json" ;;
    "training publish") mkdir -p "$store/diving"; touch "$store/diving/current" ;;
    "model_store export") echo made > "$out" ;;
esac
"""


def gpu(what: str, work: Path, *words: str, **options: str) -> str:
    """What it prints."""
    environment = {
        **os.environ, "WORK": str(work), "CACHE": str(work / "cache"), "PYTHON": sys.executable,
        "WORKERS": "1", "PACKED": str(work / "packed"), **options,
    }  # fmt: skip
    command = ["bash", "training/runs/gpu.sh", what, *words]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    logs = [path.read_text()[-3000:] for path in work.rglob("log.txt")]
    assert made.returncode == 0, (made.stdout, made.stderr, *logs)
    return made.stdout


def rehearsed(what: str, work: Path, *words: str, **options: str) -> str:
    """With tiny clips and networks, on a CPU that may be busy."""
    return gpu(what, work, *words, TINY="1", LIMIT="3000", **options)


def faked(work: Path, *words: str, takes: float = 0, **options: str) -> tuple[str, list[list[str]]]:
    """A training in which nothing is computed, and the commands that it gives."""
    work.mkdir(exist_ok=True)
    python, commands = work / "python", work / "commands"
    python.write_text(FAKE)
    python.chmod(0o755)
    commands.write_text("")
    (work / "packed/dives").mkdir(parents=True, exist_ok=True)
    (work / "packed/dives/annotations.csv").touch()
    options = {"PYTHON": str(python), "COMMANDS": str(commands), "TAKES": str(takes)} | options
    table = gpu("train", work, *words, **options)
    return table, [shlex.split(line) for line in commands.read_text().splitlines()]


def results(table: str) -> dict[str, str]:
    """Of each step."""
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {row[0]: row[2] for row in cells if len(row) == 3 and row[1].isdigit()}


def carried(folder: Path) -> set[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) <= MOST_FILES
    assert all(path.stat().st_size < MOST_BYTES for path in files)
    return {path.name for path in files}


def test_a_training_has_all_its_steps_and_their_commands_are_real(tmp_path: Path) -> None:
    table, commands = faked(tmp_path, ROUNDS="2")
    assert {*results(table).values()} == {"done"}
    asked = [" ".join(words[:3]) for words in commands]
    assert asked.count("-m training simulate") == asked.count("-m training pretrain") == 4
    assert asked.count("-m training train") == 2
    groups = {"training": training, "model_store": model_store}
    for words in commands:
        if words[0] == "-m" and words[1] in groups:
            group = typer.main.get_command(groups[words[1]])
            assert isinstance(group, TyperGroup)
            group.commands[words[2]].make_context(words[2], words[3:])
    extractor = str(tmp_path / "train/diving.safetensors")  # the shipped one, and then its own
    begun = ["-m", "training.runs.mean_extractor", "model_store/checkpoints", "diving", extractor]
    assert commands.count(begun) == 1
    rounds = [words for words in commands if "pretrain" in words and "diving" in words]
    assert [words[words.index("--extractor") + 1] for words in rounds] == [extractor] * 2


def test_clips_of_one_round_are_rendered_while_the_one_before_trains(tmp_path: Path) -> None:
    _, commands = faked(tmp_path, takes=2, ROUNDS="2")
    asked = [" ".join(words) for words in commands]
    rendered = next(n for n, words in enumerate(asked) if "simulate" in words and "-1" in words)
    assert rendered < next(n for n, words in enumerate(asked) if "pretrain" in words)


def test_a_training_that_is_cut_off_leaves_what_it_has(tmp_path: Path) -> None:
    """Each step is given up when its time is over; the next call begins with the next round."""
    out = tmp_path / "out"
    table, _ = faked(tmp_path, "--out", str(out), takes=60, LIMIT="12", ROUNDS="9")
    found = results(table)
    assert found["dives: the paper's network"] == "cut off"
    assert found["diving: pre-training, round 0"] == "cut off"
    assert found["diving: round 1"] == "no time left"  # not begun, to be cut off at once
    assert (out / "diving.safetensors").read_text() == "made\n"
    names = {"diving.safetensors", "vault.safetensors"}
    assert carried(out) <= {"train.md", "log.txt", "rounds.txt"} | names
    made = (out / "rounds.txt").read_text().count("diving")
    other = tmp_path / "other"
    table, commands = faked(other, "--out", str(out), ROUNDS=str(made + 1))
    assert "diving: pre-training, round 0" not in results(table)
    assert results(table)[f"diving: pre-training, round {made}"] == "done"
    [words] = [words for words in commands if "pretrain" in words and "diving" in words]
    assert "--extractor" in words
    [words] = [words for words in commands if "--readout" in words]  # not what began without it
    assert words[words.index("--out") + 1] == str(other / f"folds-{made + 1}")


def test_what_has_no_time_left_is_in_the_table(tmp_path: Path) -> None:
    table, commands = faked(tmp_path, LIMIT="0")
    assert {*results(table).values()} == {"no time left"}
    assert not any("train" in words for words in commands)


@pytest.mark.slow
def test_training_is_rehearsed_and_goes_on_from_what_was_carried_home(tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = results(rehearsed("train", tmp_path / "work", "--out", str(out), ROUNDS="1"))
    assert {*steps.values()} == {"done"}
    assert "dives: the paper's network" in steps
    assert "vault: pre-training, round 0" in steps
    assert carried(out) == {
        "train.md", "log.txt", "rounds.txt", "epochs.csv", "dives.json", "diving.tar.gz",
        "diving.safetensors", "vault.safetensors",
    }  # fmt: skip
    epochs = (out / "epochs.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in epochs[:3]] == ["run", "paper", "paper"]
    # Another machine, with nothing but what came home: one more round, from the extractor.
    before = (out / "diving.safetensors").read_bytes()
    steps = results(rehearsed("train", tmp_path / "other", "--out", str(out), ROUNDS="2"))
    assert "diving: pre-training, round 0" not in steps
    assert steps["diving: pre-training, round 1"] == "done"
    assert (out / "diving.safetensors").read_bytes() != before
    carried(out)


@pytest.mark.slow
def test_the_check_is_rehearsed(tmp_path: Path) -> None:
    table = rehearsed("check", tmp_path)
    assert {*results(table).values()} == {"done"}
    assert "engine torch, score" in table
    carried(tmp_path / "check")


@pytest.mark.slow
def test_the_bench_is_rehearsed(tmp_path: Path) -> None:
    """Its figures mean nothing, so a target may be missed."""
    table = rehearsed("bench", tmp_path)
    found = results(table)
    assert found["service"] == "done"
    assert found["engine, training"] in ("done", "exit code 1")
    assert "broke off" not in table
    assert "Training, this network:" in table
    carried(tmp_path / "bench")


def test_an_unknown_word_is_an_error() -> None:
    made = subprocess.run(
        ["bash", "training/runs/gpu.sh", "chek"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 2
    assert "not chek" in made.stderr


def test_what_is_packed_is_held_against_the_limit(tmp_path: Path) -> None:
    """In a repository with one file, of which the rest of the limit is left."""
    (tmp_path / "training").symlink_to(ROOT / "training")
    for command in (["git", "init", "-q"], ["git", "add", "file"]):
        (tmp_path / "file").write_bytes(bytes(1 << 20))
        subprocess.run(command, cwd=tmp_path, check=True)
    script = ["bash", "training/runs/gpu.sh", "sizes"]
    packed = tmp_path / "packed"
    packed.mkdir()
    for size, code in ((62 << 20, 0), (64 << 20, 1)):
        with (packed / "large").open("wb") as file:
            file.truncate(size)
        made = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
        assert made.returncode == code, made
        assert f"together {(size + (1 << 20)) >> 20}.0 MiB of 64" in made.stdout


@pytest.mark.slow
def test_what_is_packed_is_all_that_a_bare_machine_lacks(tmp_path: Path) -> None:
    """Of one package here, with what it needs, and this project's version, but not its code."""
    packed = tmp_path / "packed"
    made = gpu("pack", tmp_path, MISSING="starlette", PRESENT="idna")
    assert "of 64" in made
    site = tmp_path / "site"
    with tarfile.open(packed / "packages.tar.xz") as archive:
        archive.extractall(site, filter="data")
    found = {each.name: each.version for each in distributions(path=[str(site)])}
    assert found["fragment-scorer"] == version("fragment-scorer")
    assert {"starlette", "anyio"} <= {*found}
    assert "idna" not in found
    assert not (site / "service").exists()
    assert [path.name for path in packed.iterdir()] == ["packages.tar.xz"]
