"""MIT-Skate: scores by the order of names, a split that is the same everywhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.training.data.datasets.layouts import CLIPS, score_of
from training.data.datasets.mit_skate import random_splits, read_mit_skate
from training.errors import DataError


@pytest.fixture
def folder(published: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(published("mit-skate"), tmp_path / "skate")


def test_the_drawn_split() -> None:
    splits = random_splits(171)
    assert list(splits.values()).count("test") == 71
    assert sorted(splits) == list(range(1, 172))
    assert splits == random_splits(171)
    first = [number for number in range(1, 172) if splits[number] == "test"][:5]
    assert first == sorted(first) != [1, 2, 3, 4, 5]


def test_a_given_split_replaces_it(folder: Path) -> None:
    savemat(folder / "training_idx.mat", {"training_idx": np.arange(2, CLIPS + 1)[None]})
    savemat(folder / "testing_idx.mat", {"testing_idx": np.array([[1]])})
    [clip] = [clip for clip in read_mit_skate(folder) if clip.split == "test"]
    assert (clip.path.name, clip.score) == ("001.avi", score_of(1))


def test_scores_as_a_matrix(folder: Path) -> None:
    scores = np.array([[score_of(n) for n in range(1, CLIPS + 1)]])
    savemat(folder / "overall_scores.mat", {"overall_scores": scores})
    (folder / "scores.txt").unlink()
    assert [clip.score for clip in read_mit_skate(folder)] == scores[0].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "scores.txt has 2 scores, but there are 12 videos"),
        ("1\n2\nnan\n", "scores.txt: score 3 is nan"),
        ("1\n-2\n", "score 2 is -2"),
        ("good\n", "score 1 is 'good'"),
        ("\n", "scores.txt is empty"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, text: str, message: str) -> None:
    (folder / "scores.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_mit_skate(folder)
    (folder / "scores.txt").unlink()
    with pytest.raises(DataError, match=r"lacks the scores: need overall_scores.mat or scores.txt"):
        read_mit_skate(folder)
