"""Progress on the terminal: one bar, what it counts, and the latest figures beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)


class Bar:
    def __init__(self, progress: Progress, unit: str) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, unit=unit, figures="")

    def update(
        self, done: int, total: int, *, phase: str = "", figures: Mapping[str, float] | None = None
    ) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in (figures or {}).items())
        self._progress.update(
            self._task, completed=done, total=total, description=phase, figures=shown
        )

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)


@contextmanager
def bar(unit: str, *, hidden: bool = False) -> Iterator[Bar]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=hidden,
    ) as progress:
        yield Bar(progress, unit)
