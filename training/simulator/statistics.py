"""
What real dives and vaults look like in numbers, and how those numbers were derived.

    python -m training.simulator.statistics DATA_FOLDER

reads `unlv_dive_train.csv`, `unlv_vault_train.csv` and `mtl_aqa_marks.csv` and rewrites
`statistics.json`. Only moments, quantiles and spreads are kept, never the data.
"""

import csv
import functools
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVELS = (3.0, 4.5, 5.5, 6.5, 7.5, 8.5, 9.25)  # mean mark of a panel


@functools.cache
def real_statistics() -> dict[str, Any]:
    """By action: mean, deviation and quantiles of score, difficulty, execution; panel spread."""
    text = resources.files(__package__).joinpath("statistics.json").read_text()
    values: dict[str, Any] = json.loads(text)
    return values


def describe(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    return {
        "count": len(values),
        "mean": round(float(values.mean()), 3),
        "deviation": round(float(values.std(ddof=1)), 3),
        "quantiles": {
            str(q): round(float(v), 3)
            for q, v in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
        },
    }


def panel_spread(panels: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, list[float]]:
    """(N, 7) marks -> deviation within a panel by its mean mark, root mean square."""
    variance, level = panels.var(axis=1, ddof=1), panels.mean(axis=1)
    nearest = np.abs(level[:, None] - np.array(LEVELS)).argmin(axis=1)
    deviation = [
        round(float(np.sqrt(variance[nearest == i].mean())), 3) for i in range(len(LEVELS))
    ]
    return {"level": list(LEVELS), "deviation": deviation}


def derive(folder: Path) -> dict[str, Any]:
    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    dives, vaults = rows("unlv_dive_train.csv"), rows("unlv_vault_train.csv")
    panels = [[float(m) for m in row["marks"].split()] for row in rows("mtl_aqa_marks.csv") + dives]
    full = np.array([p for p in panels if len(p) == 7 and max(p) <= 10 and min(p) > 0])
    columns = ("score", "difficulty", "execution")
    values: dict[str, Any] = {
        action: {
            column: describe(np.array([float(row[column]) for row in table])) for column in columns
        }
        for action, table in (("diving", dives), ("vault", vaults))
    }
    values["diving"]["panel_spread"] = panel_spread(full)
    return values


if __name__ == "__main__":
    target = Path(__file__).with_name("statistics.json")
    target.write_text(json.dumps(derive(Path(sys.argv[1])), indent=2) + "\n")
