"""`runs/gpu.sh`, rehearsed on a CPU: no line of it runs for the first time on a borrowed GPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MOST_FILES, MOST_BYTES = 8, 16 << 20  # that are carried home


def gpu(what: str, work: Path, *words: str, **options: str) -> str:
    """What it prints."""
    environment = {
        **os.environ, "TINY": "1", "WORK": str(work), "PYTHON": sys.executable, "WORKERS": "1",
        "MINUTES": "30", "PACKED": str(work / "packed"), **options,
    }  # fmt: skip
    command = ["bash", "training/runs/gpu.sh", what, *words]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    logs = [path.read_text()[-3000:] for path in work.rglob("log.txt")]
    assert made.returncode == 0, (made.stdout, made.stderr, *logs)
    return made.stdout


def results(table: str) -> dict[str, str]:
    """Of each step."""
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {step: result for step, seconds, result in cells if seconds.isdigit()}


def carried(folder: Path) -> set[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) <= MOST_FILES
    assert all(path.stat().st_size < MOST_BYTES for path in files)
    return {path.name for path in files}


@pytest.mark.slow
def test_training_is_rehearsed_and_goes_on_from_what_was_carried_home(tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = results(gpu("train", tmp_path / "work", "--out", str(out), ROUNDS="1"))
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
    steps = results(gpu("train", tmp_path / "other", "--out", str(out), ROUNDS="2"))
    assert "diving: pre-training, round 0" not in steps
    assert steps["diving: pre-training, round 1"] == "done"
    assert (out / "diving.safetensors").read_bytes() != before
    carried(out)


@pytest.mark.slow
def test_the_check_is_rehearsed(tmp_path: Path) -> None:
    table = gpu("check", tmp_path)
    assert {*results(table).values()} == {"done"}
    assert "engine torch, score" in table
    carried(tmp_path / "check")


@pytest.mark.slow
def test_the_bench_is_rehearsed(tmp_path: Path) -> None:
    table = gpu("bench", tmp_path)
    assert {*results(table).values()} == {"done"}
    assert "| 2 |" in table  # two clients
    carried(tmp_path / "bench")


def test_what_has_no_time_left_is_in_the_table(tmp_path: Path) -> None:
    table = gpu("train", tmp_path, MINUTES="0")
    assert {*results(table).values()} == {"no time left"}


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


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
def test_the_script_is_sound() -> None:
    subprocess.run(["shellcheck", str(ROOT / "training/runs/gpu.sh")], check=True)
