"""Skating from end to end: simulated, trained, published, and scored by the real service.

The network and the picture are tiny; the clips are as long as the spec says.
"""

import csv
import json
from pathlib import Path

import av
import httpx
import numpy as np
import pytest

from model_store.spec import SKATING
from tests.servers import live_server
from tests.training.command_line import succeed

CLIPS, SEED = 4, 11

pytestmark = pytest.mark.timeout(1200)  # a minute on an idle machine


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("skating") / "data"
    succeed(
        "simulate", "--action", "skating", "--clips", CLIPS, "--seed", SEED, "--out", out,
        "--test-share", 0,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def store(data: Path) -> Path:
    run, store = data.parent / "run", data.parent / "store"
    succeed(
        "train", "--action", "skating", "--data", data, "--out", run, "--resize", "32x32",
        "--width", 1 / 32, "--epochs", 1, "--batch", 2, "--validation", 0.5,
    )  # fmt: skip
    succeed("publish", "--run", run, "--name", "skating", "--store", store)
    return store


def test_a_data_set_of_programmes_is_what_it_says(data: Path) -> None:
    with (data / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == CLIPS
    for row in rows:
        values = [float(value) for value in row["element_values"].split()]
        assert float(row["difficulty"]) == pytest.approx(sum(values))
        parts = float(row["difficulty"]) + float(row["execution"])
        assert float(row["score"]) == pytest.approx(parts, abs=2e-3)
        assert len(row["elements"].split()) == len(values) == len(row["element_starts"].split())
        tracks = np.load(data / row["clip"].replace("clips", "tracks").replace("mp4", "npz"))
        assert len(tracks["joints"]) == len(tracks["state"]) == SKATING.frames
    with av.open(str(data / rows[0]["clip"])) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 320, 240)
        assert stream.average_rate == SKATING.fps
        assert sum(1 for _ in container.decode(video=0)) == SKATING.frames == 900


def test_the_service_scores_a_programme(data: Path, store: Path, tmp_path: Path) -> None:
    content = (data / "clips/00000.mp4").read_bytes()
    with live_server(store, tmp_path) as server:
        response = httpx.post(
            f"{server.url}/score",
            files={"clip": content},
            data={"action": "skating", "difficulty": "30.5"},
            timeout=120,
        )
    assert response.status_code == 200, response.text
    answer = response.json()
    fragments = answer["fragments"]
    assert len(fragments) == 9
    assert np.isfinite(answer["score"])
    total = answer["baseline"] + sum(fragment["contribution"] for fragment in fragments)
    assert total == pytest.approx(answer["score"], abs=1e-3)
    assert any(fragment["contribution"] != 0 for fragment in fragments)
    assert answer["execution"] == pytest.approx(answer["score"] - 30.5, abs=1e-6)
    assert [fragment["start_s"] for fragment in fragments] == pytest.approx(
        [k * 100 / 4.8 for k in range(9)], abs=0.01
    )
    assert not any(fragment["blank"] for fragment in fragments)
    assert {fragment["stage"] for fragment in fragments} == {None}
    assert answer["clip"]["frames"] == 900
    assert answer["checkpoint"]["trained_on"] == "simulated"
    assert answer["interval"] is None  # so few programmes cannot calibrate


def test_programmes_simulated_now_measure_it(store: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    succeed(
        "evaluate", "--checkpoint", "skating", "--store", store, "--simulate", 2, "--seed", 12,
        "--engine", "torch", "--json", figures,
    )  # fmt: skip
    measured = json.loads(figures.read_text())
    assert measured["clips"] == 2
    assert np.isfinite([measured["spearman"], measured["mean_distance"]]).all()
    assert not measured.keys() & {"stage_agreement", "pairs_localised", "pairs_ordered"}
