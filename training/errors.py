"""Errors that a user of the commands can correct: one message, exit code 2, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from model_store.errors import InvalidFile


class TrainingError(Exception):
    """Its text states what was found and what was needed."""


class DataError(TrainingError):
    """A data set that is missing, incomplete or contradicts itself."""


class RunError(TrainingError):
    """Options or a run folder that do not fit together."""


@contextmanager
def as_data_error() -> Iterator[None]:
    """Raise an InvalidFile of a data set as a DataError."""
    try:
        yield
    except InvalidFile as error:
        raise DataError(str(error)) from error
