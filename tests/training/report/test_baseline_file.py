"""Files of `baseline`, and what is said of those that are none."""

import json

import pytest

from training.errors import DataError
from training.report.baseline_file import read_baseline

GOOD = {"method": "C3D+SVR", "data": "data/x", "spearman": 0.5, "mean_distance": 3, "clips": 70}


def test_more_than_is_needed_is_welcome(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"relative_l2": 0.1}))
    assert read_baseline(path).spearman == 0.5
    assert read_baseline(path).data == ("data/x",)


def test_one_folder_or_several(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"data": ["data/x", "data/y"]}))
    assert read_baseline(path).data == ("data/x", "data/y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[1]", "not an object"),
        (json.dumps({"method": "x"}), "lacks"),
        (json.dumps(GOOD | {"clips": None}), "a.json"),
        (json.dumps(GOOD | {"spearman": float("nan")}), "not finite"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_baseline(tmp_path / "a.json")
