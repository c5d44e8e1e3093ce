"""Where a run's figures go: log.csv, the terminal, TensorBoard and other loggers."""

from collections.abc import Mapping
from pathlib import Path

from training.display import Bar
from training.learn.loggers import Loggers
from training.learn.run_folder import StepLog


class TrainingLog:
    """Use it as a context; what was logged after step `last` is logged again."""

    def __init__(
        self, folder: Path, columns: tuple[str, ...], last: int, bar: Bar, loggers: Loggers
    ) -> None:
        self._log = StepLog(folder / "log.csv", columns, last)
        self._loggers = loggers
        self._bar = bar
        self._validated: Mapping[str, float] = {}

    def step(self, step: int, figures: Mapping[str, float], speed: Mapping[str, float]) -> None:
        self._log.write(step, figures)
        self._loggers.step(step, {**figures, **speed})

    def show(self, done: int, total: int, title: str, figures: Mapping[str, float]) -> None:
        """Figures on the bar, with those of the latest validation."""
        self._bar.update(done, total, phase=title, figures={**figures, **self._validated})

    def epoch(self, step: int, title: str, validated: Mapping[str, float], seconds: float) -> None:
        self._validated = validated
        self._loggers.validation(step, validated)
        text = "  ".join(f"{name} {value:.4g}" for name, value in validated.items())
        self._bar.log(f"{title}: {text}  in {seconds:.0f} s")

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.__exit__()
        self._loggers.close()
