"""Errors that a user of the commands can correct: one message, exit code 2, no traceback."""


class TrainingError(Exception):
    """Its text states what was found and what was needed."""


class DataError(TrainingError):
    """A data set that is missing, incomplete or contradicts itself."""


class RunError(TrainingError):
    """Options or a run folder that do not fit together."""
