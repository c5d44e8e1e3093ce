"""
A run's folder: what was asked for, how far it got, and what came out.

    run.json            the options, complete
    state.pt            network, optimiser and position; replaced by atomic rename
    log.csv             one line a step
    tensorboard/        the same as scalars
    best.safetensors    weights of the best validation so far
    best.json           and its figures

The rule: `state.pt` is exact. What the log says beyond it was lost, is cut off on resuming, and
is then written again with the same values.
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from training.errors import RunError

State = dict[str, Any]


def replace_file(path: Path, content: bytes) -> None:
    """Old content or new, whatever happens in between."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, options: Mapping[str, Any]) -> None:
        """Make the folder of a new run, or see that it is this run's; it may have steps already.

        Raises RunError for a folder that holds something else or a run with other options.
        """
        described = json.dumps(options, indent=2, sort_keys=True) + "\n"
        record, state = self.path / "run.json", self.path / "state.pt"
        if record.exists() and state.exists():
            if record.read_text() != described:
                raise RunError(
                    f"{self.path} holds a run with other options:"
                    f" {_differences(json.loads(record.read_text()), json.loads(described))}"
                )
            return
        if not record.exists() and self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and has no run.json")
        self.path.mkdir(parents=True, exist_ok=True)
        replace_file(record, described.encode())

    def options(self) -> dict[str, Any]:
        try:
            options: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} has no readable run.json, need a run's folder") from error
        return options

    def save_state(self, state: State) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        replace_file(self.path / "state.pt", buffer.getvalue())

    def load_state(self) -> State | None:
        path = self.path / "state.pt"
        return torch.load(path, weights_only=True) if path.exists() else None

    def save_best(self, weights: dict[str, Tensor], figures: Mapping[str, Any]) -> None:
        content = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        replace_file(self.path / "best.safetensors", save(content))
        replace_file(self.path / "best.json", (json.dumps(figures, indent=2) + "\n").encode())

    def load_best(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        try:
            figures: dict[str, Any] = json.loads((self.path / "best.json").read_text())
            return load_file(self.path / "best.safetensors"), figures
        except OSError as error:
            raise RunError(f"{self.path} has no finished epoch yet") from error


class StepLog:
    """log.csv; lines after step `last` are cut off."""

    def __init__(self, path: Path, columns: tuple[str, ...], last: int) -> None:
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines[1:] if line.endswith("\n")]
        kept = [line for line in whole if int(line.split(",", 1)[0]) <= last]
        head = ",".join(("step", *columns)) + "\n"
        replace_file(path, "".join([head, *kept]).encode())
        self._columns = columns
        self._file = path.open("a", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._writer.writerow([step, *(repr(values[column]) for column in self._columns)])
        self._file.flush()

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return "; ".join(f"{name} was {old.get(name)!r}, is {new.get(name)!r}" for name in names)
