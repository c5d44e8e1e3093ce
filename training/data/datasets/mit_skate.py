"""
MIT-Skate: videos of whole programmes, and a list of their scores.   [Pirsiavash14]

    NNN.avi …            in the folder or in `videos/`; mp4 and the like, or folders of frames, too
    overall_scores.mat   overall_scores, 1×N; or scores.txt, one score a line

The n-th score belongs to the n-th video in the order of their names. There is no official split:
[Li18] draws 100 for training and 71 for testing at random and does not say which, so here a draw
from a fixed seed decides, the same on every machine; `training_idx.mat` and `testing_idx.mat`
beside the scores replace it.

[Pirsiavash14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np

from training.data.datasets.annotations import JudgedClip, Split
from training.data.datasets.lines import read_lines
from training.data.datasets.matlab import official_splits, vector
from training.data.datasets.media import VIDEOS, Media, find_media, first_of
from training.data.datasets.points import points
from training.errors import DataError

FPS = Fraction(24)  # of the published videos, for copies that were unpacked into frames
TEST_SHARE = 71 / 171
SEED = 0
SCORES = ("overall_scores.mat", "scores.txt")


def read_mit_skate(folder: Path) -> list[JudgedClip]:
    path = first_of(folder, SCORES, "the scores")
    scores = _scores(path)
    videos = _videos(folder / "videos" if (folder / "videos").is_dir() else folder)
    if len(videos) != len(scores):
        raise DataError(f"{path} has {len(scores)} scores, but there are {len(videos)} videos")
    given = (folder / "training_idx.mat").exists()
    splits = official_splits(folder, len(scores)) if given else random_splits(len(scores))
    return [
        JudgedClip(
            path=media.path,
            frames=media.frames,
            split=splits[number],
            score=score,
            columns={"clip": str(media.path.relative_to(folder))},
        )
        for number, (media, score) in enumerate(zip(videos, scores, strict=True), 1)
    ]


def random_splits(count: int) -> dict[int, Split]:
    """Number of each clip, from 1, to its split; 71 of 171 for testing."""
    order = np.random.default_rng(SEED).permutation(count) + 1
    tests = round(count * TEST_SHARE)
    return {int(number): "test" if i < tests else "train" for i, number in enumerate(order)}


def _scores(path: Path) -> list[float]:
    if path.suffix == ".mat":
        values: list[object] = vector(path, "overall_scores").tolist()
    else:
        values = list(read_lines(path))
    return [points(value, f"score {n}", str(path)) for n, value in enumerate(values, 1)]


def _videos(folder: Path) -> list[Media]:
    stems = {
        path.with_suffix("") if path.is_file() else path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEOS or (path.is_dir() and not path.name.startswith("."))
    }
    return [find_media(stem, FPS) for stem in sorted(stems)]
