"""
runs/results.csv: one line a run, beside the runs' folders.

The rule: a line is there whole or not at all, however many runs end at once; a run that ends again
replaces its line.
"""

import csv
import fcntl
import io
from collections.abc import Mapping
from pathlib import Path

from model_store.files import replace_file

RESULTS = "results.csv"


def write_result(folder: Path, figures: Mapping[str, object]) -> Path:
    """Put a run's line into the table beside its folder; the table's path."""
    place = folder.resolve().parent / RESULTS
    line = {"run": folder.resolve().name} | {name: str(value) for name, value in figures.items()}
    with place.with_name(f".{RESULTS}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        others = [each for each in _lines(place) if each["run"] != line["run"]]
        columns = list(dict.fromkeys(name for each in (*others, line) for name in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*others, line])
        replace_file(place, text.getvalue().encode())
    return place


def _lines(place: Path) -> list[dict[str, str]]:
    if not place.exists():
        return []
    with place.open(newline="") as file:
        return list(csv.DictReader(file))
