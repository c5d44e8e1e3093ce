"""`evaluate` on checkpoints with either output, and with both."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.clip import load_clip
from model_store.scorer import Scorer
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import read_annotations
from training.errors import DataError
from training.measure.evaluate import score_clips
from training.metrics import mean_distance, spearman
from training.release.model_card import readme

CLIPS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(CLIPS):
        (folder / f"{i}.mp4").write_bytes(clip_bytes(frames=100, height=32, width=32, seed=i))
        difficulty = round(float(rng.uniform(1.5, 4)), 1)
        rows.append((f"{i}.mp4", "test", round(float(rng.uniform(40, 90)), 2), difficulty))
    with (folder / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "split", "score", "difficulty"), *rows])
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Versions 1, 2, 3: final, execution, both."""
    store = Store(tmp_path_factory.mktemp("store"))
    for target in ("final", "execution", "both"):
        publish_tiny(store, "diving", target=target, used=(0, 4), calibrated=True)
    return store


def measured(store: Store, data: Path, version: int, out: Path) -> dict[str, Any]:
    succeed(
        "evaluate", "--checkpoint", f"diving@{version}", "--data", data, "--store", store.root,
        "--engine", "torch", "--json", out,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def answers(store: Store, data: Path, version: int, *, declared: bool) -> list[Any]:
    scorer = Scorer(store.load(f"diving@{version}"), "torch")
    found = []
    for clip in read_annotations(data):
        [score] = scorer.score([load_clip(clip.path, scorer.spec)])
        found.append(score.with_difficulty(clip.difficulty if declared else None, "multiply"))
    return found


def test_both_outputs_are_measured_side_by_side(store: Store, data: Path, tmp_path: Path) -> None:
    figures = measured(store, data, 3, tmp_path / "figures.json")
    judged = [clip.score for clip in read_annotations(data)]
    for declared, block in ((False, figures), (True, figures["with_difficulty"])):
        expected = answers(store, data, 3, declared=declared)
        scores = [each.score for each in expected]
        assert block["spearman"] == pytest.approx(spearman(scores, judged))
        assert block["mean_distance"] == pytest.approx(mean_distance(scores, judged), abs=1e-3)
        intervals = [each.trust.interval for each in expected]
        inside = [i.low <= j <= i.high for i, j in zip(intervals, judged, strict=True)]
        assert block["coverage"] == np.mean(inside)
        widths = [interval.high - interval.low for interval in intervals]
        assert block["width"] == pytest.approx(np.mean(widths), rel=1e-4)
        assert block["distance_share"] > 0
        assert block["width_share"] > 0
    assert figures["width"] == pytest.approx(4.0)
    difficulty = np.mean([clip.difficulty for clip in read_annotations(data)])
    assert figures["with_difficulty"]["width"] == pytest.approx(difficulty, rel=1e-4)


def test_a_final_score_has_no_figures_with_the_difficulty(
    store: Store, data: Path, tmp_path: Path
) -> None:
    figures = measured(store, data, 1, tmp_path / "figures.json")
    assert "with_difficulty" not in figures
    assert "difficulty_alone" in figures


def test_an_execution_is_measured_with_the_difficulty_alone(
    store: Store, data: Path, tmp_path: Path
) -> None:
    figures = measured(store, data, 2, tmp_path / "figures.json")
    for name in ("spearman", "mean_distance", "coverage", "width"):
        assert figures["with_difficulty"][name] == figures[name]
    scorer = Scorer(store.load("diving@2"), "torch")
    clips = [dataclasses.replace(clip, difficulty=None) for clip in read_annotations(data)]
    with pytest.raises(DataError, match="needs a difficulty"):
        score_clips(scorer, clips)


def test_one_missing_difficulty_leaves_the_figures_of_the_video(store: Store, data: Path) -> None:
    scorer = Scorer(store.load("diving@3"), "torch")
    first, *others = read_annotations(data)[:3]
    evaluation = score_clips(scorer, [dataclasses.replace(first, difficulty=None), *others])
    assert evaluation.with_difficulty is None
    assert {score.scored_by for score in evaluation.scores} == {"video"}


def test_the_model_card_has_both_rows(store: Store, data: Path, tmp_path: Path) -> None:
    card = store.load("diving@3").card
    figures = measured(store, data, 3, tmp_path / "figures.json")
    text = readme(card.model_copy(update={"metrics": {"test": figures}}))
    assert "Scores a video of diving, with its declared difficulty or without" in text
    declared = figures["with_difficulty"]
    assert (
        f"| the same clips, with their declared difficulties | {declared['spearman']:.3f} |"
        f" {declared['mean_distance']:.2f} | {declared['distance_share']:.2f} |"
    ) in text
    data_card = card.data.model_copy(update={"trained_on": "both"})
    text = readme(card.model_copy(update={"data": data_card}))
    assert "Trained on **real and simulated** clips" in text
    assert "must not be used to judge" not in text


def test_as_many_pairs_as_were_asked_for_are_measured(store: Store, tmp_path: Path) -> None:
    """Four of them are two ladders of three; the guess and the gain stand beside what they say."""
    file = tmp_path / "figures.json"
    printed = succeed(
        "evaluate", "--checkpoint", "diving@1", "--simulate", 2, "--pairs", 4, "--seed", 5,
        "--store", store.root, "--engine", "torch", "--json", file,
    )  # fmt: skip
    figures = json.loads(file.read_text())
    assert figures["pairs"] == sum(each["pairs"] for each in figures["pairs_by_kind"].values()) == 6
    assert "Pairs by kind of fault" in printed
    gains = [each["gain"] for each in figures["pairs_by_kind"].values()]
    assert min(gains) == figures["pairs_gain_least"] <= figures["pairs_gain"]
    low, high = figures["pairs_agreement_interval"]
    assert -1 <= low <= figures["pairs_agreement"] <= high <= 1


def test_pairs_need_simulated_clips(store: Store, data: Path) -> None:
    words = ("evaluate", "--checkpoint", "diving@1", "--store", store.root, "--data", data)
    assert "--pairs are simulated" in error_message(call(*words, "--pairs", 3))
