"""
How real panels mark, and how that was measured: how far a mark lies from the others, and how far a
judge leans over a whole event.

    python -m model_store.judging.panel_statistics fina_panels_2015_2021.csv

reads official dives with seven marks each (columns competition, event, difficulty, marks, points;
11,153 dives of 25 competitions of 2015 to 2021), checks that every total follows from its marks,
and rewrites `panel_statistics.json`. Kept are shares and deviations, never the data. Smaller groups
of judges are drawn, without replacement, from the real panels of seven.

The distance of a mark is that to the median of the other marks of its group; its level is that
median, since judges agree better on good dives than on bad ones. Of two judges the level is their
mean, so that both are as far out. The four events (women and men, 3 m and 10 m) have no bands of
their own: what is out of line by the bands of all is between 0.3 and 0.5 % of the marks of each, on
competitions that were left out, and by bands of their own it is no less.

What real judges show over an event is known of seats and not of persons: the data has seven marks
in the order of the seats, and no names. Where the judges of an event changed between its rounds, a
seat leans less than a person does.
"""

import csv
import functools
import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

GROUP_SIZES = (2, 3, 5, 7)
LEVELS = (0.0, 5.0, 6.0, 6.5, 7.0, 7.5, 8.5)  # where the bands of levels begin
DISTANCES = tuple(i / 4 for i in range(1, 13))  # medians of marks in halves lie on quarters
OUT_OF_LINE = 0.01  # of real marks at the most: what lies farther out is flagged
DRAWS = 5  # of smaller groups from each panel
DIVES = {"women": 5, "men": 6}  # of a diver's list; the file has them one after the other
CHUNK = 30  # dives; whole lists of both

Panels = Sequence[Sequence[float]]
Bands = list[dict[str, Any]]
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class RealJudges:
    """What seats of real panels show over a whole event, in marks."""

    leaning: float
    """Deviation of the seats' true bias: what is left of the differences without chance."""
    scatter: float
    """Chance makes the mean of n dives deviate from that by this / √n."""
    spread: tuple[float, float, float]
    """5, 50 and 95 % of the seats have a spread up to these."""


def share_at_least(distance: float, level: float, group_size: int) -> float:
    """The share of real marks, 0…1, that are as far from the others as this, at this level."""
    return share_in(real_bands()[str(group_size)], distance, level)


def share_in(bands: Bands, distance: float, level: float) -> float:
    band = bands[max(0, bisect_right(LEVELS, level) - 1)]
    steps = int(round(abs(distance) / DISTANCES[0], 6))
    if steps == 0:
        return 1.0
    shares: list[float] = band["at_least"]
    return shares[steps - 1] if steps <= len(shares) else 0.0


def distances(group: Sequence[float]) -> list[tuple[float, float]]:
    """For each mark its signed distance from the median of the others, and the level."""
    if len(group) == 2:
        first, second = group
        level = (first + second) / 2
        return [(first - second, level), (second - first, level)]
    found = []
    for i, mark in enumerate(group):
        others = median((*group[:i], *group[i + 1 :]))
        found.append((mark - others, others))
    return found


def real_judges(group_size: int) -> RealJudges:
    """How the judges of real groups of this size lean and scatter."""
    values = real_values()["judges"][str(group_size)]
    low, middle, high = values["spread"]
    return RealJudges(values["leaning"], values["scatter"], (low, middle, high))


def real_bands() -> dict[str, Bands]:
    bands: dict[str, Bands] = real_values()["groups"]
    return bands


@functools.cache
def real_values() -> dict[str, Any]:
    """All that is known of real panels."""
    text = resources.files(__package__).joinpath("panel_statistics.json").read_text()
    values: dict[str, Any] = json.loads(text)
    return values


def bands_of(groups: Iterable[Sequence[float]]) -> Bands:
    """For each level the share of marks at least 0.25, 0.5, … from the others of their group."""
    found = np.array([pair for group in groups for pair in distances(group)])  # (marks, 2)
    band = np.searchsorted(LEVELS, found[:, 1], side="right") - 1
    bands = []
    for i, level in enumerate(LEVELS):
        inside = np.abs(found[band == i, 0])
        shares = [round(float((inside >= d).mean()), 5) for d in DISTANCES]
        bands.append({"level": level, "marks": len(inside), "at_least": shares})
    return bands


def drawn(panels: Panels, size: int) -> list[list[float]]:
    """Groups of `size` judges from panels of seven."""
    if size == len(panels[0]):
        return [list(panel) for panel in panels]
    rng = np.random.default_rng(0)
    return [list(rng.permutation(panel)[:size]) for panel in panels for _ in range(DRAWS)]


def flagged(groups: Iterable[Sequence[float]], bands: Bands) -> tuple[float, float]:
    """Shares of marks, and of groups with any mark, that are out of line."""
    out = [
        [share_in(bands, distance, level) < OUT_OF_LINE for distance, level in distances(group)]
        for group in groups
    ]
    return round(float(np.mean(out)), 4), round(float(np.mean([any(row) for row in out])), 4)


def judges_of(events: Sequence[tuple[int, Panels]], size: int) -> dict[str, Any]:
    """How seats lean and scatter over whole events: dives of a diver, and all panels in order."""
    rng = np.random.default_rng(0)
    products, spreads, squares = [], [], []
    for dives, panels in events:
        marks = np.array(panels)  # (dives, 7)
        for _ in range(1 if size == marks.shape[1] else DRAWS):
            seats = rng.permutation(marks.shape[1])[:size]
            found = deviations(marks[:, seats])  # (dives, size)
            spreads += list(found.std(axis=0, ddof=1))
            divers = found[: len(found) // dives * dives].reshape(-1, dives, size).mean(axis=1)
            squares += list(dives * divers.var(axis=0, ddof=1))
            # Chance does not last from one part of an event to the next, and no diver is in two
            # parts; so the product of a seat's means is its bias squared, on average.
            parts = [found[i : i + CHUNK].mean(axis=0) for i in range(0, len(found), CHUNK)]
            if len(parts) > 1:
                products += list(np.mean(parts[::2], axis=0) * np.mean(parts[1::2], axis=0))
    return {
        "leaning": round(float(np.sqrt(max(0.0, np.mean(products)))), 4),
        "scatter": round(float(np.sqrt(np.mean(squares))), 4),
        "spread": [round(float(q), 3) for q in np.quantile(spreads, (0.05, 0.5, 0.95))],
    }


def deviations(marks: Array) -> Array:
    """(dives, judges) -> (dives, judges): each mark − the median of the others."""
    others = [np.median(np.delete(marks, i, axis=1), axis=1) for i in range(marks.shape[1])]
    return marks - np.stack(others, axis=1)


def derive(path: Path) -> dict[str, Any]:
    """Raises ValueError for a total that does not follow from its marks."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    events: dict[tuple[str, str], list[list[float]]] = {}
    for row in rows:
        marks = [float(mark) for mark in row["marks"].split()]
        total = sum(sorted(marks)[2:5]) * float(row["difficulty"])
        if abs(total - float(row["points"])) > 0.006:
            raise ValueError(f"{row['competition']}: {total:.2f}, but {row['points']} announced")
        if min(marks) > 0:  # no failed dive
            events.setdefault((row["competition"], row["event"]), []).append(marks)
    competitions = sorted({competition for competition, _ in events})
    halves: list[list[list[float]]] = [[], []]  # whole competitions, every other one
    for (competition, _), panels in events.items():
        halves[competitions.index(competition) % 2] += panels
    panels = halves[0] + halves[1]
    held_out = {}
    for size in GROUP_SIZES:
        seen = [bands_of(drawn(half, size)) for half in halves]
        found = [
            flagged(drawn(half, size), bands)
            for half, bands in zip(halves, reversed(seen), strict=True)
        ]
        marks_flagged, groups_flagged = np.mean(found, axis=0).round(4)
        held_out[str(size)] = {
            "marks_flagged": float(marks_flagged),
            "groups_flagged": float(groups_flagged),
        }
    in_order = [(DIVES[event.partition("'")[0]], panels) for (_, event), panels in events.items()]
    return {
        "panels": len(panels),
        "competitions": len(competitions),
        "held_out": held_out,
        "judges": {str(size): judges_of(in_order, size) for size in GROUP_SIZES},
        "groups": {str(size): bands_of(drawn(panels, size)) for size in GROUP_SIZES},
    }


def as_text(values: dict[str, Any]) -> str:
    """JSON, a band a line."""
    groups = {
        size: "[\n" + ",\n".join(f"   {json.dumps(band)}" for band in bands) + "\n  ]"
        for size, bands in values["groups"].items()
    }
    lines = [f" {json.dumps(key)}: {json.dumps(values[key])}" for key in values if key != "groups"]
    inside = ",\n".join(f"  {json.dumps(size)}: {bands}" for size, bands in groups.items())
    return "{\n" + ",\n".join([*lines, ' "groups": {\n' + inside + "\n }"]) + "\n}\n"


if __name__ == "__main__":
    target = Path(__file__).with_name("panel_statistics.json")
    target.write_text(as_text(derive(Path(sys.argv[1]))))
