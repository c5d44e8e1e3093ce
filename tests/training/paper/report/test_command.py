"""`report` from the shell: its figures are those of `evaluate` on the published run."""

import json
from pathlib import Path

import pytest

from tests.training.command_line import call, succeed


def train(bright: Path, tmp_path: Path, name: str, *words: object) -> Path:
    succeed(
        "train", "--action", "vault", "--data", bright, "--out", tmp_path / name,
        "--cache", tmp_path / "cache", "--resize", "32x32", "--epochs", 1, "--batch", 16,
        "--width", 1 / 32, "--no-augment", *words,
    )  # fmt: skip
    return tmp_path / name


@pytest.mark.usefixtures("few_resamples")
def test_a_report_measures_what_evaluate_measures(bright: Path, tmp_path: Path) -> None:
    last = train(bright, tmp_path, "last", "--fragments", "last", "--loss", "both")
    other = train(bright, tmp_path, "other", "--fragments", "0,5", "--loss", "ranking")
    assert json.loads((last / "run.json").read_text())["network"]["fragments_used"] == [5]
    baseline = tmp_path / "svr.json"
    baseline.write_text(
        json.dumps({"method": "C3D+SVR", "data": str(bright), "spearman": 0.25,
                    "mean_distance": 1.5, "clips": 12})
    )  # fmt: skip
    words = ["report", "--run", last, "--run", other, "--baseline", baseline, "--engine", "torch"]
    succeed(*words, "--out", tmp_path / "report")
    numbers = json.loads((tmp_path / "report" / "report.json").read_text())["bright"]
    cells = {(cell["loss"], *cell["fragments"]): cell for cell in numbers["cells"]}
    assert set(cells) == {("MSE + ranking", 5), ("ranking", 0, 5)}
    text = (tmp_path / "report" / "README.md").read_text()
    assert "fragments network, fragments 0, 5, ranking" in text

    store, figures = tmp_path / "store", tmp_path / "figures.json"
    assert call(
        "publish", "--run", last, "--name", "last", "--full", "--store", store
    ).exit_code == 0  # fmt: skip
    assert call(
        "evaluate", "--checkpoint", "last", "--data", bright, "--store", store, "--json", figures,
        "--engine", "torch",
    ).exit_code == 0  # fmt: skip
    evaluated = json.loads(figures.read_text())
    measured = cells["MSE + ranking", 5]
    assert measured["spearman"]["value"] == pytest.approx(evaluated["spearman"], abs=1e-9)
    assert measured["mean_distance"]["value"] == pytest.approx(evaluated["mean_distance"])
    mean = evaluated["training_mean"]["mean_distance"]
    assert numbers["always_the_mean"]["value"] == pytest.approx(mean, rel=0.05)

    # Kept: with the engine's predictions taken away and others put in place, those are shown.
    kept = json.loads((last / "test.json").read_text())
    kept["predicted"] = [0.0] * 12
    (last / "test.json").write_text(json.dumps(kept))
    assert call(*words, "--out", tmp_path / "again").exit_code == 0
    again = json.loads((tmp_path / "again" / "report.json").read_text())["bright"]
    assert again["cells"][0]["spearman"]["value"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "no readable run.json"), (["--baseline", "none.json"], "none.json is not readable")],
)
def test_what_is_missing_is_named(tmp_path: Path, words: list[str], message: str) -> None:
    result = call("report", "--run", tmp_path, *words, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.output.count("error:") == 1
    assert message in result.output
