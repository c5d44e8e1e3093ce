"""One line an epoch."""

import csv
from pathlib import Path

import pytest

from training.runs.epoch_table import EpochTable


def test_a_line_has_the_clips_by_the_time_of_all_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 clips in 0.4 s, then 8 in 0.1 s; and a step that is never validated."""
    file = tmp_path / "epochs.csv"
    monkeypatch.setenv("GPU_EPOCHS", str(file))
    table = EpochTable(tmp_path / "paper", {})
    table.step(1, {"clips_per_s": 20.0, "loss": 3.0})
    table.step(2, {"clips_per_s": 80.0, "loss": 1.0})
    table.validation(2, {"spearman": 0.5, "mean_distance": 9.0})
    table.step(3, {"clips_per_s": 40.0, "loss": 0.5})
    table.close()
    with file.open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert first["run"] == "paper"
    found = {name: float(first[name]) for name in ("step", "clips_per_s", "loss", "spearman")}
    assert found == {"step": 2, "clips_per_s": 32, "loss": 2, "spearman": 0.5}
    assert (second["step"], second["clips_per_s"], second["spearman"]) == ("3", "40", "")
