"""Files of `baseline`, and what is said of those that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from training.errors import DataError
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
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_baseline(tmp_path / "a.json")
