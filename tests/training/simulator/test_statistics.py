import csv
import json
from pathlib import Path

import pytest

from training.simulator.statistics import derive, real_statistics


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_derived_by_hand(tmp_path: Path) -> None:
    columns = ["score", "difficulty", "execution"]
    write(
        tmp_path / "unlv_dive_train.csv",
        [*columns, "marks"],
        [["60", "3.0", "20", "7 7 7 7 7 7 7"], ["80", "3.2", "25", ""]],
    )
    write(tmp_path / "unlv_vault_train.csv", columns, [["14", "5", "9"], ["15", "6", "9"]])
    steady = [["1", "1", " ".join([f"{level}"] * 7)] for level in (3, 4.5, 5.5, 7.5, 8.5, 9.25)]
    uneven = ["1", "1", "6.5 6.5 6.5 6.5 6.5 6.5 7.2"]
    slip = ["1", "1", "9 9 9 9 9 9 95"]  # no mark exceeds 10
    rows = [*steady, uneven, slip]
    write(tmp_path / "mtl_aqa_marks.csv", ["score", "difficulty", "marks"], rows)
    values = derive(tmp_path)
    assert values["diving"]["score"]["mean"] == 70
    assert values["diving"]["score"]["deviation"] == pytest.approx(14.142)
    assert values["vault"]["difficulty"]["quantiles"]["0.5"] == 5.5
    spread = values["diving"]["panel_spread"]
    by_level = dict(zip(spread["level"], spread["deviation"], strict=True))
    # two panels are nearest to 6.5: (7 × 7.0) with variance 0, and 6.6 with variance 0.07
    assert by_level[6.5] == pytest.approx((0.07 / 2) ** 0.5, abs=1e-3)
    assert by_level[3.0] == by_level[9.25] == 0


def test_the_committed_statistics_hold_no_single_performance() -> None:
    text = json.dumps(real_statistics())
    assert len(text) < 3000
    assert real_statistics()["diving"]["score"]["count"] == 300
    assert real_statistics()["vault"]["score"]["count"] == 120
