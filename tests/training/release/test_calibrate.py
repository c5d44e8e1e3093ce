import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.checkpoint import Checkpoint
from model_store.clip import load_clip
from model_store.scorer import Scorer
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes, clip_of
from training.data.datasets.annotations import JudgedClip, read_annotations
from training.errors import DataError
from training.measure.evaluate import score_clips
from training.measure.reliability import confidence_figures, difficulty_figures, flagged_share
from training.release.calibrate import fit_calibration, publish_calibrated

CLIPS = 60


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "vault", used=(0, 1, 2))
    return Scorer(store.load("vault"), "torch")


@pytest.fixture(scope="module")
def folder(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips whose judges differ from the network by a normal error of 5 points."""
    folder = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(CLIPS):
        (folder / f"{i}.mp4").write_bytes(clip_bytes(frames=100, height=32, width=32, seed=i))
        [score] = scorer.score([load_clip(folder / f"{i}.mp4", scorer.spec)])
        rows.append((f"{i}.mp4", "test", score.score + 5 * rng.standard_normal()))
    with (folder / "annotations.csv").open("w") as file:
        csv.writer(file).writerows([("clip", "split", "score"), *rows])
    return folder


@pytest.fixture(scope="module")
def calibrated(scorer: Scorer, folder: Path) -> Checkpoint:
    confidence = fit_calibration(scorer, read_annotations(folder), [])
    store = Store(scorer.checkpoint.path.parent.parent)
    return publish_calibrated(store, scorer.checkpoint, confidence, read_annotations(folder))


def test_the_network_stays_as_it_was(scorer: Scorer, calibrated: Checkpoint) -> None:
    assert calibrated.version == 2
    assert calibrated.card.splits["calibration"] == CLIPS
    before = scorer.checkpoint.network.state_dict()
    after = calibrated.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert calibrated.golden == scorer.checkpoint.golden


def test_intervals_are_as_wide_as_the_judges_are_off(calibrated: Checkpoint, folder: Path) -> None:
    evaluation = score_clips(Scorer(calibrated, "torch"), read_annotations(folder))
    figures = confidence_figures(evaluation)
    # 90 % of normal errors of 5 points are within 8.2; 45 clips know that to about ±25 %.
    assert figures["width"] == pytest.approx(2 * 8.2, rel=0.35)
    assert 0.8 <= figures["coverage"] <= 1.0


def test_what_was_never_seen_is_flagged(calibrated: Checkpoint, tmp_path: Path) -> None:
    # The clips above are a square on black; these are white from edge to edge.
    for i in range(3):
        frames = np.full((100, 32, 32, 3), 255 - i, np.uint8)
        (tmp_path / f"{i}.mp4").write_bytes(clip_of(frames))
    (tmp_path / "text.mp4").write_bytes(b"not a video")
    assert flagged_share(Scorer(calibrated, "torch"), tmp_path) == 1.0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "diving", target="both", used=(0, 3))
    return Scorer(store.load("diving"), "torch")


@pytest.fixture(scope="module")
def judged(both: Scorer, tmp_path_factory: pytest.TempPathFactory) -> list[JudgedClip]:
    """Judges who are 2 points of execution off, and 9 points of what the video shows."""
    folder = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(1)
    rows = []
    for i in range(CLIPS):
        (folder / f"{i}.mp4").write_bytes(clip_bytes(frames=100, height=32, width=32, seed=i))
        [answer] = both.score([load_clip(folder / f"{i}.mp4", both.spec)])
        assert answer.of_execution is not None
        difficulty = 3.0 if i % 2 else 1.5
        score = (answer.of_execution.score + 2 * rng.standard_normal()) * difficulty
        rows.append((f"{i}.mp4", "test", score, difficulty))
    with (folder / "annotations.csv").open("w") as file:
        csv.writer(file).writerows([("clip", "split", "score", "difficulty"), *rows])
    return read_annotations(folder)


def test_each_output_gets_intervals_of_its_own(both: Scorer, judged: list[JudgedClip]) -> None:
    store = Store(both.checkpoint.path.parent.parent)
    published = publish_calibrated(
        store, both.checkpoint, fit_calibration(both, judged, []), judged
    )
    measured = score_clips(Scorer(published, "torch"), judged)
    assert measured.outputs.shape == (CLIPS, 2)
    figures = confidence_figures(measured)
    with_difficulty = difficulty_figures(measured)["with_difficulty"]
    # 2 points of execution are 6 or 3 of the score: 90 % within 1.645 times that, or 14.8 wide.
    assert with_difficulty["width"] == pytest.approx(2 * 1.645 * 2 * 2.25, rel=0.35)
    assert with_difficulty["coverage"] >= 0.8
    assert figures["coverage"] >= 0.8
    assert figures["width"] > 2 * with_difficulty["width"]  # the video does not show the difficulty


def test_executions_that_are_not_known_cannot_calibrate(
    both: Scorer, judged: list[JudgedClip]
) -> None:
    clips = [*judged[:39], *(dataclasses.replace(clip, difficulty=None) for clip in judged[39:])]
    with pytest.raises(DataError, match="39 calibration clips have a difficulty, need at least 40"):
        fit_calibration(both, clips, [])


def test_too_few_clips_cannot_calibrate(scorer: Scorer, folder: Path) -> None:
    with pytest.raises(DataError, match="39 calibration clips, need at least 40"):
        fit_calibration(scorer, read_annotations(folder)[:39], [])


def test_an_uncalibrated_checkpoint_has_no_confidence(
    scorer: Scorer, folder: Path, tmp_path: Path
) -> None:
    evaluation = score_clips(scorer, read_annotations(folder)[:2])
    assert confidence_figures(evaluation) == {}
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataError, match="not calibrated"):
        flagged_share(scorer, tmp_path)
