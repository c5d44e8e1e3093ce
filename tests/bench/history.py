"""
What each whole run of the benchmark found, a line a row in history.csv, and what has moved since.

    python -m tests.bench.history              what moved from the last run but one to the last
    python -m tests.bench.history --machine "AMD EPYC"    among the runs of this processor

Ratios are compared and not times: those of one run met the same machine. Runs of another kind of
processor are another matter, and never compared.
"""

import csv
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tests.bench.results import Results, Verdict

FILE = Path(__file__).parent / "history.csv"
MOVED = 0.1  # of a ratio: more than two runs of the same code differ by, mostly


@dataclass(frozen=True, slots=True)
class Entry:
    date: str
    commit: str
    machine: str
    """The processor, its CPUs, and what it multiplies with."""
    stage: str
    case: str
    against: str
    ratio: float
    target: str
    verdict: str

    @property
    def run(self) -> tuple[str, str, str]:
        return self.date, self.commit, self.machine

    @property
    def what(self) -> tuple[str, str, str]:
        """The peer without its variant: another one may be the best next time."""
        return self.stage, self.case, self.against.partition(",")[0]


def entries_of(results: Results, about: dict[str, Any], date: str) -> list[Entry]:
    machine = f"{about['processor']}, {about['cpus']} CPUs, {about['arithmetic']}"
    return [
        Entry(
            date=date,
            commit=commit(),
            machine=machine,
            stage=row.stage,
            case=row.case,
            against=row.peer,
            ratio=round(row.ratio.value, 3),
            target=str(row.target or ""),
            verdict=str(row.verdict),
        )
        for row in results.rows
        if row.ratio is not None
    ]


def append(entries: Iterable[Entry], file: Path = FILE) -> None:
    is_new = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, [each.name for each in fields(Entry)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(entry) for entry in entries)


def read(file: Path = FILE) -> list[Entry]:
    """Empty where there is no history yet."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return [
            Entry(**line | {"ratio": float(line["ratio"])})  # type: ignore[arg-type]
            for line in csv.DictReader(opened)
        ]


def moved(entries: list[Entry], *, machine: str = "") -> list[tuple[Entry, Entry]]:
    """Before and after, where a ratio moved by more than a tenth or a verdict changed.

    Of the last run on a machine whose name contains `machine`, and for each row the last one before
    it on the same machine.
    """
    runs = [entry for entry in entries if machine in entry.machine]
    if not runs:
        return []
    last = [entry for entry in runs if entry.run == runs[-1].run]
    earlier = [entry for entry in runs if entry.machine == last[0].machine and entry not in last]
    before = {entry.what: entry for entry in earlier}
    pairs = [(before[entry.what], entry) for entry in last if entry.what in before]
    return [
        (old, new)
        for old, new in pairs
        if abs(new.ratio / old.ratio - 1) > MOVED or old.verdict != new.verdict
    ]


def met_before(entries: list[Entry], now: Iterable[Entry]) -> list[str]:
    """For each target that is missed now: where it was met last, if ever."""
    lines = []
    for miss in (each for each in now if each.verdict == Verdict.MISS):
        met = [each for each in entries if each.what == miss.what and each.verdict == Verdict.PASS]
        if met:
            lines.append(
                f"{miss.stage}, {miss.case}, {miss.against}: met with {met[-1].ratio:.2f} on"
                f" {met[-1].date}, {met[-1].machine}"
            )
    return lines


def commit() -> str:
    """Of the tree that was measured, with + where it was changed since."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def main(
    machine: Annotated[str, typer.Option(help="Part of a machine's name.")] = "",
    file: Annotated[Path, typer.Option(help="The history.")] = FILE,
) -> None:
    """Show which ratios moved by more than a tenth, or met or missed their target anew."""
    pairs = moved(read(file), machine=machine)
    if not pairs:
        typer.echo("nothing has moved, or there is no earlier run on this kind of machine")
        return
    drawn = Table(
        "stage", "case", "against", "before", "now", "target", "", title=pairs[0][1].machine
    )
    for old, new in pairs:
        change = old.verdict if old.verdict == new.verdict else f"{old.verdict} → {new.verdict}"
        drawn.add_row(
            new.stage, new.case, new.against, f"{old.ratio:.2f} ({old.date}, {old.commit})",
            f"{new.ratio:.2f}", new.target, change,
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 170).print(drawn)


if __name__ == "__main__":
    typer.run(main)
