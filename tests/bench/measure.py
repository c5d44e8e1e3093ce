"""
Measures contenders side by side: interleaved, warmed up, reported as ratios of medians.

The rule: contenders of one comparison run in turn (A B A B, each round begins with another one),
so that whatever else the machine does meets all of them; nothing is compared that was measured
at different times.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Contender = Callable[[], object]
"""What is timed; if it returns something that can be called, that is called afterwards, untimed."""

PAUSE_S = 0.01  # between two runs: threads of the one before stop spinning
FEWEST, MOST = 5, 200  # rounds


@dataclass(frozen=True, slots=True)
class Timings:
    """What one contender took, a number a round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratio of two medians; `low` and `high` are quartiles of the ratios of single rounds."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Timings, theirs: Timings) -> "Ratio":
        rounds = [a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True)]
        low, high = quartiles(rounds)
        return cls(ours.median / theirs.median, low, high)

    @classmethod
    def single(cls, value: float) -> "Ratio":
        """Of two runs: without a spread."""
        return cls(value, value, value)


def quartiles(values: list[float]) -> tuple[float, float]:
    """The first and the third; of a single value twice the value."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def interleaved(
    contenders: Mapping[str, Contender],
    *,
    budget_s: float,
    fewest: int = FEWEST,
    most: int = MOST,
    warm_ups: int = 1,
    on_round: Callable[[int], None] = lambda done: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timings]:
    """Run all contenders in turn until `budget_s` is spent, at least `fewest` rounds.

    The budget includes the warm-ups. `on_round` is called with the number of rounds done.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    until = clock() + budget_s

    def run(contender: Contender) -> float:
        began = clock()
        finish = contender()
        taken = clock() - began
        if callable(finish):
            finish()
        return taken

    for _ in range(warm_ups):
        for name in names:
            run(contenders[name])
    done = 0
    while done < fewest or (done < most and clock() < until):
        first = done % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE_S)
            seconds[name].append(run(contenders[name]))
        done += 1
        on_round(done)
    return {name: Timings(tuple(taken)) for name, taken in seconds.items()}
