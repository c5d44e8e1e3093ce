"""
A run's folder: what was asked for, how far it got, and what came out.

    run.json            the options, complete
    clips.csv           the clips, see `data/clip_list.py`
    state.pt            network, optimiser and position; replaced by atomic rename
    log.csv             one line a step
    tensorboard/        the same as scalars
    weights.safetensors the weights that are kept so far
    figures.json        and what they are worth on the validation clips
    examined-*.safetensors    of a cross-validation: predictions and pooled features of all clips
    cross_validation.json     what its folds are worth together
    calibration.safetensors   the intervals that follow from them

The rule: `state.pt` is exact. Lines of the log after it are cut off on resuming, and then written
again with the same values.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save
from torch import Tensor

from model_store.confidence import Confidence
from model_store.files import PARTIAL, remove_partial_files, replace_file
from training.data.clip_list import ClipRecord, changes, from_csv, to_csv
from training.errors import RunError

RECORD, CLIPS, STATE, EXTRACTOR = "run.json", "clips.csv", "state.pt", "extractor.safetensors"
# Whatever a command writes beside it into a run's folder; the rest is not ours to remove.
WRITTEN = (
    PARTIAL, CLIPS, "state.pt", "log.csv", "weights.safetensors", "figures.json",
    "summary.json", "commands.txt", "golden.mov", "test.json", "alone.json",
    "extractor.safetensors", "examined-*.safetensors", "cross_validation.json",
    "calibration.safetensors", "tensorboard/events.out.tfevents.*", "tensorboard",
)  # fmt: skip

State = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

WEIGHTS, FIGURES = "weights.safetensors", "figures.json"
CHANGES_SHOWN = 5  # of the clips, in a message
CROSS_VALIDATION, CALIBRATION = "cross_validation.json", "calibration.safetensors"


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def begun(self) -> bool:
        """Whether there is something to go on from, or to lose."""
        there = (STATE, f"fold-*/{STATE}", WEIGHTS, EXTRACTOR)
        return any(any(self.path.glob(name)) for name in there)

    def open(self, options: Mapping[str, Any], *, first: bool = True) -> None:
        """Make the folder of a new run, or see that it is this run's; it may have steps already.

        Of several processes the `first` one writes. Raises RunError for a folder that holds
        something else or a run with other options.
        """
        described = json.dumps(options, indent=2, sort_keys=True) + "\n"
        record = self.path / RECORD
        if record.exists() and self.begun:
            if record.read_text() != described:
                raise RunError(
                    f"{self.path} holds a run with other options:"
                    f" {_differences(json.loads(record.read_text()), json.loads(described))}"
                )
        elif first:
            if not record.exists() and self._others():
                raise RunError(f"{self.path} is not empty and has no {RECORD}")
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(record, described.encode())
        if first:
            remove_partial_files(self.path)

    def check_clips(self, clips: Sequence[ClipRecord], *, first: bool = True) -> None:
        """Write the clips of a run that has no steps yet; else compare them with its own.

        Of several processes the `first` one writes and the others compare. Raises RunError for
        other clips, scores or sides of the split.
        """
        if first and not self.begun:
            replace_file(self.path / CLIPS, to_csv(clips).encode())
        elif changed := changes(self.clips(), clips):
            rest = len(changed) - CHANGES_SHOWN
            more = f"; and {rest} more" if rest > 0 else ""
            raise RunError(
                f"{self.path} holds a run of other data, {len(changed)} clips changed:"
                f" {'; '.join(changed[:CHANGES_SHOWN])}{more}. --restart starts anew there"
            )

    def clips(self) -> list[ClipRecord]:
        """Raises RunError where the folder has none."""
        try:
            return from_csv((self.path / CLIPS).read_bytes().decode())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self.path} does not say which clips its run began with (no readable {CLIPS}):"
                " --restart starts anew there"
            ) from error

    def restart(self) -> None:
        """Remove what a run and its folds have written, and nothing else."""
        if not (self.path / RECORD).exists():
            return
        for record in [*self.path.glob(f"fold-*/{RECORD}")]:
            fold = RunFolder(record.parent)
            fold._clear()
            if not fold._others():
                record.unlink()
                fold.path.rmdir()
        self._clear()

    def _others(self) -> bool:
        """Whether something else than a record is there, or than what a kill left of a file."""
        there = self.path.iterdir() if self.path.exists() else ()
        return any(path.name != RECORD and not path.match(PARTIAL) for path in there)

    def _clear(self) -> None:
        for name in WRITTEN:
            for path in list(self.path.glob(name)):
                if not path.is_dir():
                    path.unlink()
                elif not any(path.iterdir()):
                    path.rmdir()

    def options(self) -> dict[str, Any]:
        try:
            options: dict[str, Any] = json.loads((self.path / RECORD).read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} has no readable {RECORD}, need a run's folder") from error
        return options

    def save_state(self, state: State) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        replace_file(self.path / STATE, buffer.getvalue())

    def load_state(self, *needed: str) -> State | None:
        """None where there is none yet.   Raises RunError for one that lacks what is needed."""
        path = self.path / STATE
        if not path.exists():
            return None
        state: State = torch.load(path, weights_only=True, map_location="cpu")
        if missing := [name for name in needed if name not in state]:
            raise RunError(
                f"{path} was written by another version of this software, it has no"
                f" {', '.join(missing)}: --restart begins anew"
            )
        return state

    def save_weights(self, weights: dict[str, Tensor], figures: Mapping[str, Any]) -> None:
        # Copies, since tied extractors share memory, which the format does not have.
        content = {name: value.detach().cpu().clone() for name, value in weights.items()}
        replace_file(self.path / WEIGHTS, save(content))
        replace_file(self.path / FIGURES, (json.dumps(figures, indent=2) + "\n").encode())

    def load_weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        try:
            figures: dict[str, Any] = json.loads((self.path / FIGURES).read_text())
            return load_file(self.path / WEIGHTS), figures
        except OSError as error:
            raise RunError(f"{self.path} has no finished epoch yet") from error

    def save_cross_validation(self, figures: Mapping[str, Any], confidence: Confidence) -> None:
        numbers = {"figures": dict(figures), "calibration": confidence.numbers()}
        replace_file(self.path / CALIBRATION, save_arrays(confidence.arrays()))
        replace_file(self.path / CROSS_VALIDATION, (json.dumps(numbers, indent=2) + "\n").encode())

    def load_cross_validation(self) -> tuple[dict[str, Any], Confidence] | None:
        """Figures and intervals; None for a run that is not of all clips."""
        try:
            numbers = json.loads((self.path / CROSS_VALIDATION).read_text())
        except FileNotFoundError:
            return None
        arrays = load_arrays((self.path / CALIBRATION).read_bytes())
        return numbers["figures"], Confidence.from_parts(numbers["calibration"], arrays)

    def save_predictions(self, name: str, arrays: Arrays) -> None:
        replace_file(self._predictions(name), save_arrays(arrays))

    def load_predictions(self, name: str) -> Arrays:
        return load_arrays(self._predictions(name).read_bytes())

    def _predictions(self, name: str) -> Path:
        return self.path / f"examined-{name}.safetensors"


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
