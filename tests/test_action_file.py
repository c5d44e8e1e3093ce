"""A fourth action, from a file of a few lines to an answer of the real service; no code knows it.

It predicts the execution, so that whoever asks gives the difficulty.
"""

import csv
import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from model_store.__main__ import app as model_store
from model_store.spec import read_action
from model_store.store import Store
from tests.servers import live_server
from tests.training.bright import write_bright_dataset
from training.__main__ import app as training

DIFFICULTY = 4.0  # of every bright clip

TRAMPOLINE = """
frames = 36
fragments = 2
fragment_length = 16
fps = 30
stages = ["mount", "rise", "turn", "fall", "landing"]
difficulty_rule = "multiply"
score_range = [0, 20]
pad = "start"
start = 4
resize = [32, 32]
"""

pytestmark = pytest.mark.timeout(600)


def command(app: Typer, *words: object, code: int = 0) -> str:
    """`python -m training …` or `python -m model_store …`"""
    run = CliRunner().invoke(app, [str(word) for word in words])
    assert run.exit_code == code, f"{words}\n{run.output}\n{run.exception}"
    return run.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_bright_dataset(tmp_path_factory.mktemp("trampoline") / "data", 24)
    file = folder / "annotations.csv"
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, [*rows[0], "execution"])
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {"execution": float(row["score"]) / DIFFICULTY})
    return folder


@pytest.fixture(scope="module")
def action(data: Path) -> Path:
    file = data.parent / "trampoline.toml"
    file.write_text(TRAMPOLINE)
    return file


@pytest.fixture(scope="module")
def store(data: Path, action: Path) -> Store:
    run, store = data.parent / "run", data.parent / "store"
    command(
        training, "train", "--action", action, "--data", data, "--out", run, "--width", 1 / 32,
        "--target", "execution", "--epochs", 2, "--batch", 8, "--validation", 0.2,
    )  # fmt: skip
    command(training, "publish", "--run", run, "--name", "our-jumps", "--store", store)
    return Store(store)


def test_the_checkpoint_sees_clips_as_the_file_says(store: Store, action: Path) -> None:
    card = store.load("our-jumps").card
    assert card.spec == read_action(action)
    assert (card.action, card.spec.resize, card.spec.crop) == ("trampoline", (32, 32), (32, 32))
    assert (card.spec.pad, card.spec.start) == ("start", 4)
    assert card.network.target == "execution"
    assert {*card.stage_of_fragment} <= {*card.spec.stages}
    assert 10 < card.data.judged_mean < 15  # always the mean answers in scores, as announced


def test_the_command_and_the_service_score_it_alike(
    store: Store, data: Path, tmp_path: Path
) -> None:
    clip = data / "clips" / "000.mp4"
    words = ("score", clip, "--action", "our-jumps", "--store", store.root, "--engine", "torch")
    assert "needs --difficulty" in command(model_store, *words, code=2)
    said = json.loads(command(model_store, *words, "--difficulty", DIFFICULTY, "--json"))
    with live_server(store.root, tmp_path) as server:
        response = server.score(clip.read_bytes(), action="our-jumps", difficulty=str(DIFFICULTY))
        refused = server.score(clip.read_bytes(), action="our-jumps")
    assert refused.status_code == 422
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["action"], answer["difficulty"]) == ("trampoline", DIFFICULTY)
    assert answer["score"] == pytest.approx(said["score"], abs=0.01)
    assert answer["score"] == pytest.approx(answer["execution"] * DIFFICULTY)
    parts = sum(fragment["contribution"] for fragment in answer["fragments"])
    assert answer["baseline"] + parts == pytest.approx(answer["score"], abs=1e-3)
    assert [fragment["stage"] for fragment in answer["fragments"]] == [
        fragment["stage"] for fragment in said["fragments"]
    ]


def test_evaluate_measures_it_in_scores(store: Store, data: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command(
        training, "evaluate", "--checkpoint", "our-jumps", "--store", store.root, "--data", data,
        "--json", figures, "--engine", "torch",
    )  # fmt: skip
    measured = json.loads(figures.read_text())
    assert measured["training_mean"]["mean_distance"] < 3  # scores are 10…15, executions 2.5…3.75
