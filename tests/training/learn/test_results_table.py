"""One line a run, whole, whoever writes at the same time."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from training.learn.results_table import write_result


def lines(place: Path) -> list[dict[str, str]]:
    with place.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_that_ends_again_replaces_its_line(tmp_path: Path) -> None:
    write_result(tmp_path / "a", {"spearman": 0.5})
    write_result(tmp_path / "b", {"spearman": 0.6, "data": "x, y"})
    place = write_result(tmp_path / "a", {"spearman": 0.7})
    assert place == tmp_path / "results.csv"
    assert lines(place) == [
        {"run": "b", "spearman": "0.6", "data": "x, y"},
        {"run": "a", "spearman": "0.7", "data": ""},
    ]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_result(tmp_path / f"run-{n}", {"step": n}), range(40)))
    found = {line["run"]: line["step"] for line in lines(tmp_path / "results.csv")}
    assert found == {f"run-{n}": str(n) for n in range(40)}
