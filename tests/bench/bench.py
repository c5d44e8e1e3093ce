"""What every stage gets: where results go, how long to measure, how to show progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Contender, Timings, interleaved
from tests.bench.results import Results


@dataclass(slots=True)
class Bench:
    folder: Path
    """For clips that were made; kept from run to run."""
    quick: bool = False
    """Shorter and rougher, to try things out."""
    progress: Callable[[str], None] = lambda text: None
    """Is called with what is being done."""
    finding: Callable[[str], None] = lambda text: None
    """Is called with what was found."""
    results: Results = field(default_factory=Results)

    def compare(
        self, title: str, contenders: Mapping[str, Contender], *, budget_s: float, fewest: int = 5
    ) -> dict[str, Timings]:
        """Measure side by side."""
        names = ", ".join(contenders)
        timings = interleaved(
            contenders,
            budget_s=budget_s / 10 if self.quick else budget_s,
            fewest=2 if self.quick else fewest,
            on_round=lambda done: self.progress(f"{title}: {names}: round {done}"),
        )
        medians = ", ".join(f"{name} {1e3 * taken.median:.1f}" for name, taken in timings.items())
        rounds = len(next(iter(timings.values())).seconds)
        self.finding(f"{title}, ms, medians of {rounds}: {medians}")
        return timings
