"""Turns errors that a user can do something about into one message and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from model_store.errors import ModelStoreError
from training.errors import TrainingError


@contextmanager
def told() -> Iterator[None]:
    try:
        yield
    except (TrainingError, ModelStoreError, OSError) as error:  # a full disk, no permission, …
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
