"""Turns errors that a user can do something about into one message and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from model_store.errors import ModelStoreError
from training.display import message
from training.errors import TrainingError


@contextmanager
def exit_on_errors() -> Iterator[None]:
    try:
        yield
    except (TrainingError, ModelStoreError, OSError) as error:  # a full disk, no permission, …
        message("error", str(error), "red")
        raise typer.Exit(2) from error
