"""Files of `baseline`, and what is said of those that are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from training.data.datasets.annotations import read_annotations
from training.data.datasets.hashes import clip_hashes
from training.errors import DataError, RunError
from training.paper.report.baseline_file import read_baseline

GOOD = {"method": "C3D+SVR", "data": "data/x", "spearman": 0.5, "mean_distance": 3, "clips": 70}


def test_more_than_is_needed_is_welcome(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"relative_l2": 0.1}))
    assert read_baseline(path).spearman == 0.5
    assert read_baseline(path).data == ("data/x",)


def test_one_folder_or_several(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"data": ["data/x", "data/y"]}))
    assert read_baseline(path).data == ("data/x", "data/y")


def test_scores_of_every_clip_give_an_interval(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    judged = random.normal(size=50)
    predicted = judged + random.normal(size=50)
    scores = {"judged": judged.tolist(), "predicted": predicted.tolist()}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"scores": scores}))
    rank = read_baseline(path).rank
    assert rank is not None
    assert rank.value == pytest.approx(spearmanr(predicted, judged).statistic)
    assert rank.low < rank.value < rank.high < 1
    path.write_text(json.dumps(GOOD))
    assert read_baseline(path).rank is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[1]", "not an object"),
        (json.dumps({"method": "x"}), "lacks"),
        (json.dumps(GOOD | {"clips": None}), "a.json"),
        (json.dumps(GOOD | {"spearman": float("nan")}), "not finite"),
        (json.dumps(GOOD | {"scores": {"judged": [1, 2], "predicted": [1]}}), "as many"),
        (json.dumps(GOOD | {"scores": {"judged": [1, 2]}}), "predicted"),
        (json.dumps(GOOD | {"folds": "some"}), "a.json"),
        (
            json.dumps(GOOD | {"scores": {"judged": [1, 2], "predicted": [1, 2], "sha256": ["a"]}}),
            "a.json",
        ),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_baseline(tmp_path / "a.json")


def test_a_file_stands_only_beside_what_is_measured_on_the_same_clips(
    bright: Path, tmp_path: Path
) -> None:
    clips = read_annotations(bright, "test")[:4]
    fold = np.array([0, 1, 0, 1])
    scores: dict[str, list[Any]] = {
        "sha256": clip_hashes(clips)[::-1],  # the order of the clips does not count
        "judged": [clip.score for clip in clips][::-1],
        "predicted": [1.0, 2.0, 3.0, 4.0],
        "fold": [1, 0, 1, 0],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"folds": 2, "scores": scores}))
    baseline = read_baseline(path)
    assert baseline.folds == 2
    baseline.check_measured_as(clips, fold, "the runs")
    with pytest.raises(RunError, match=r"1 clips differ, as 005\.mp4"):
        baseline.check_measured_as(clips, np.array([1, 1, 0, 1]), "the runs")
    with pytest.raises(RunError, match="1 clips differ"):
        baseline.check_measured_as(clips[:3], fold[:3], "the runs")
    with pytest.raises(RunError, match="4 clips differ"):
        baseline.check_measured_as(clips, None, "the runs")
    scores["judged"][0] += 0.5
    path.write_text(json.dumps(GOOD | {"folds": 2, "scores": scores}))
    with pytest.raises(RunError, match=r"1 clips differ, as 023\.mp4"):
        read_baseline(path).check_measured_as(clips, fold, "the runs")
