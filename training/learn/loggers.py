"""
Where a run's figures go besides log.csv: to TensorBoard, and to what `--logger` names.

A logger is made for each run of a fold and for the run itself, from the run's folder and its
options; a run that is continued makes it again and goes on with the next step. The rule: a logger
that fails is reported and left out, since a lost connection must not cost a night of training.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

from training.display import warn
from training.errors import RunError


class RunLogger(Protocol):
    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Of each step, numbered from 1: loss, its terms, rates, clips a second."""
        ...

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Of the validation clips, after each epoch: Spearman, mean distance, …"""
        ...

    def close(self) -> None:
        """The run has ended, or has been stopped."""
        ...


MakeLogger = Callable[[Path, Mapping[str, Any]], RunLogger]
"""From the run's folder and its options by name."""


def logger_named(name: str) -> MakeLogger:
    """`module:attribute`, also of a module in the working folder.   Raises RunError."""
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise RunError(f"the logger is {name!r}, need MODULE:NAME, such as my_loggers:WandB")
    if "" not in sys.path:
        sys.path.append("")  # a command that was installed does not look there
    try:
        made: MakeLogger = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RunError(f"the logger {name} cannot be imported: {error}") from error
    return made


class TensorBoard:
    """Below `tensorboard` in the run's folder; steps after `last` are cut off."""

    def __init__(self, folder: Path, last: int) -> None:
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=last + 1)

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        self._add("step", step, figures)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        self._add("validation", step, figures)

    def close(self) -> None:
        self._board.close()

    def _add(self, group: str, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._board.add_scalar(f"{group}/{name}", value, step)


class Loggers:
    """TensorBoard and others as one."""

    def __init__(
        self, folder: Path, options: Mapping[str, Any], last: int, others: Sequence[MakeLogger]
    ) -> None:
        self._loggers: list[RunLogger] = [TensorBoard(folder, last)]
        for make in others:
            with _left_out(getattr(make, "__name__", str(make))):
                self._loggers.append(make(folder, options))

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        self._each(lambda logger: logger.step(step, figures))

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        self._each(lambda logger: logger.validation(step, figures))

    def close(self) -> None:
        self._each(lambda logger: logger.close())

    def _each(self, call: Callable[[RunLogger], None]) -> None:
        kept = []
        for logger in self._loggers:
            with _left_out(type(logger).__name__):
                call(logger)
                kept.append(logger)
        self._loggers = kept


@contextmanager
def _left_out(name: str) -> Iterator[None]:
    """A logger that raises anything is reported, and does not go on."""
    try:
        yield
    except Exception as error:  # whatever a service or a user's code raises
        warn(f"logger {name} has failed and is left out: {type(error).__name__}: {error}")
