"""
A logger that writes one line an epoch, at once: what is left of a run that is cut off.

`train --logger training.runs.epoch_table:EpochTable` adds to the CSV file that GPU_EPOCHS names.
"""

import csv
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

COLUMNS = (
    "run",
    "step",
    "seconds",
    "clips_per_s",
    "loss",
    "spearman",
    "mean_distance",
    "memory_gb",
)


class EpochTable:
    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._file = Path(os.environ["GPU_EPOCHS"])
        self._run, self._began = folder.name, time.monotonic()
        self._steps: list[Mapping[str, float]] = []
        self._last = 0
        if not self._file.exists():
            self._add(COLUMNS)

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        self._steps.append(figures)
        self._last = step

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        self._write(step, figures)

    def close(self) -> None:
        """What was not validated is a line as well."""
        if self._steps:
            self._write(self._last, {})

    def _write(self, step: int, figures: Mapping[str, float]) -> None:
        """Of the steps since the last line: their mean loss, and clips by the time of all."""
        made, self._steps = self._steps, []
        loss = speed = ""
        if made:  # all steps have as many clips, but for the last of an epoch
            loss = f"{sum(each['loss'] for each in made) / len(made):.4g}"
            speed = f"{len(made) / sum(1 / each['clips_per_s'] for each in made):.4g}"

        memory = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0
        self._add(
            (
                self._run,
                step,
                f"{time.monotonic() - self._began:.1f}",
                speed,
                loss,
                *(f"{figures[name]:.4g}" if name in figures else "" for name in COLUMNS[5:7]),
                f"{memory:.2f}",
            )
        )

    def _add(self, line: tuple[object, ...]) -> None:
        with self._file.open("a", newline="") as file:
            csv.writer(file).writerow(line)
