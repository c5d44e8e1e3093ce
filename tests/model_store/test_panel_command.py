"""`python -m model_store panel`, as a club would call it."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model_store.__main__ import app
from model_store.judging.meet_table import judge_table

MEET = """diver;dive;height;difficulty;j1;j2;j3;j4;j5
Anna;107B;3;;8,5;8;8;8,5;9
Anna;205B;3;;7,5;7;7;7,5;8
Ben;107C;3;;6,5;6;6;6,5;7
Ben;;;2,4;6,5;6;;6,5;
Cleo [final];405C;3;;5;4,5;4,5;4;9
Cleo [final];305C;3;;0;0;0;0;0
"""


@pytest.fixture
def meet(tmp_path: Path) -> Path:
    path = tmp_path / "meet.csv"
    path.write_text(MEET)
    return path


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["panel", *map(str, arguments)])


def test_people_get_a_table_and_the_marks_out_of_line(meet: Path) -> None:
    result = run(meet)
    assert result.exit_code == 0
    assert "dives: 6, failed: 1" in result.output
    assert "dive 5 (Cleo [final]): judge 5 gives 9, +4.5 from the others" in result.output
    judges = judge_table("diving", meet.read_bytes()).judges
    for judge in judges:
        assert f"{judge.bias:+.2f}" in result.output


def test_programs_get_json(meet: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert run(meet, "--json", target).exit_code == 0
    report = json.loads(target.read_text())
    assert report["coverage"] == 0.9
    assert [judge["judge"] for judge in report["judges"]] == [1, 2, 3, 4, 5]
    assert report["dives"][0]["total"] == round(25 * 3.1, 3)
    assert report["dives"][0]["dive"]["name"] == "forward 3½ somersaults, pike"
    assert report["dives"][3]["dive"] is None
    assert "World Aquatics" in report["dives"][0]["rule"]
    assert json.loads(run(meet, "--json", "-").stdout) == report  # and nothing else


def test_spreadsheets_get_a_line_a_judge(meet: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    assert run(meet, "--csv", target).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    judges = judge_table("diving", meet.read_bytes()).judges
    assert [float(row["bias"]) for row in rows] == [judge.bias for judge in judges]
    for row, judge in zip(rows, judges, strict=True):
        assert judge.bias_interval is not None
        assert (float(row["bias_low"]), float(row["bias_high"])) == judge.bias_interval
        assert row["out_of_line"] == str(judge.out_of_line)
    assert run(meet, "--csv", "-").stdout == target.read_text()


def test_what_is_wrong_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("dive,height,j1,j2\n101E,3,8,8\n107B,3,8,x\n")
    result = run(path)
    assert result.exit_code == 1
    assert "line 2, dive: '101E': position E" in result.stderr
    assert "line 3, j2: 'x' is not a number" in result.stderr


def test_bad_commands(meet: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "missing.csv").exit_code == 2
    assert run(tmp_path).exit_code == 2
    assert run(meet, "--action", "skating").exit_code == 2
    assert run(meet, "--json", "-", "--csv", "-").exit_code == 2
    assert run(meet, "--json", tmp_path / "no" / "report.json").exit_code == 1


def test_the_help_names_the_columns() -> None:
    shown = " ".join(run("--help").output.split())
    for word in ("diver", "dive and height", "difficulty", "deductions", "j1", "j11", "--json"):
        assert word in shown


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_the_table_itself_is_not_overwritten(meet: Path, option: str) -> None:
    result = run(meet, option, meet)
    assert result.exit_code == 2
    assert "would be overwritten" in result.stderr
    assert meet.read_text() == MEET
