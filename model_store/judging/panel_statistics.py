"""
How far a judge's mark lies from the rest of a real panel, and how that was measured.

    python -m model_store.judging.panel_statistics DATA_FOLDER

reads `mtl_aqa_marks.csv` (1059 dives, seven marks each) and rewrites `panel_statistics.json`. Kept
are shares of marks by their distance, never the data. Smaller groups of judges are drawn, without
replacement, from the real panels of seven.

The distance of a mark is that to the median of the other marks of its group; its level is that
median, since judges agree better on good dives than on bad ones.
"""

import csv
import functools
import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

GROUP_SIZES = (3, 5, 7)
LEVELS = (0.0, 5.0, 6.5, 7.5, 8.5)  # where the bands of levels begin
DISTANCES = tuple(i / 4 for i in range(1, 13))  # medians of marks in halves lie on quarters
OUT_OF_LINE = 0.01  # of real marks at the most: what lies farther out is flagged
DRAWS = 5  # of smaller groups from each panel

Panels = Sequence[Sequence[float]]
Bands = list[dict[str, Any]]


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
    """For each mark its signed distance from the median of the others, and that median."""
    found = []
    for i, mark in enumerate(group):
        others = median((*group[:i], *group[i + 1 :]))
        found.append((mark - others, others))
    return found


@functools.cache
def real_bands() -> dict[str, Bands]:
    text = resources.files(__package__).joinpath("panel_statistics.json").read_text()
    bands: dict[str, Bands] = json.loads(text)["groups"]
    return bands


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


def derive(folder: Path) -> dict[str, Any]:
    with (folder / "mtl_aqa_marks.csv").open(newline="") as file:
        rows = [[float(m) for m in row["marks"].split()] for row in csv.DictReader(file)]
    panels = [
        row for row in rows if max(row) <= 10 and min(row) > 0
    ]  # no failed dive, no typing error
    groups = {size: drawn(panels, size) for size in GROUP_SIZES}
    held_out = {}
    for size in GROUP_SIZES:
        seen, unseen = drawn(panels[::2], size), drawn(panels[1::2], size)
        marks, panels_flagged = flagged(unseen, bands_of(seen))
        held_out[str(size)] = {"marks_flagged": marks, "groups_flagged": panels_flagged}
    return {
        "panels": len(panels),
        "held_out": held_out,
        "groups": {str(size): bands_of(group) for size, group in groups.items()},
    }


if __name__ == "__main__":
    target = Path(__file__).with_name("panel_statistics.json")
    target.write_text(json.dumps(derive(Path(sys.argv[1])), indent=1) + "\n")
