"""Turns errors that a user can do something about into one message and exit code 2."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.markup import escape

from model_store.errors import ModelStoreError
from training.display import console
from training.errors import TrainingError, TrainingWarning


@contextmanager
def told() -> Iterator[None]:
    """Warnings of a run become a line each, errors the last one."""

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, TrainingWarning):
            console.print(
                f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True
            )
        else:
            plainly(message, category, *rest, **options)

    plainly = warnings.showwarning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", TrainingWarning)
            warnings.showwarning = show
            yield
    except (TrainingError, ModelStoreError, OSError) as error:  # a full disk, no permission, …
        console.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
