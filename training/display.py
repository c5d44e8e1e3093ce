"""
The terminal: a progress bar with the latest figures; warnings and errors.

The rule: what a user wrote, a path or a value, is shown as it is. Rich reads `[old]` as a
style and `:dash:` as an emoji, so such text is never printed as a plain `str`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

console = Console(stderr=True)


def message(kind: str, text: str, colour: str) -> None:
    """ "kind: text" on standard error, above the bar if there is one."""
    console.print(Text.assemble((f"{kind}:", colour), " ", text), soft_wrap=True)


def warn(text: str) -> None:
    """Once, where several processes train together."""
    if os.environ.get("RANK", "0") == "0":  # as torchrun sets it
        message("warning", text, "yellow")


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

    def progress(self, phase: str) -> Callable[[int, int], None]:
        """What shows the number of things done and of all things, in this phase."""
        return partial(self.update, phase=phase)

    def log(self, line: str) -> None:
        self._progress.console.print(Text(line))


@contextmanager
def bar(unit: str, *, hidden: bool = False) -> Iterator[Bar]:
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        console=console,
        disable=hidden,
    ) as progress:
        yield Bar(progress, unit)
