"""`python -m model_store features`: what a researcher loads with NumPy."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from model_store.__main__ import app
from model_store.clip import load_clip
from model_store.scorer import Scorer
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"müller {seed}.mp4" for seed in range(2)]
    for seed, path in enumerate(paths):
        path.write_bytes(clip_bytes(frames=151, height=48, width=64, seed=seed))
    return paths


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store(tmp_path / "store")
    monkeypatch.setenv("SCORING_STORE", str(store.root))
    return store


def run(*arguments: object) -> Result:
    words = ["features", "--engine", "torch", *map(str, arguments)]
    return CliRunner().invoke(app, words)


def loaded(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file}


@pytest.mark.parametrize("used", [None, (2, 7)])
def test_each_feature_is_a_channel_of_a_fragment(
    store: Store, clips: list[Path], tmp_path: Path, used: tuple[int, ...] | None
) -> None:
    publish_tiny(store, "diving", target="both", calibrated=True, used=used)
    target = tmp_path / "features.npz"
    result = run(*clips, "--out", target)
    assert result.exit_code == 0, result.output
    found = loaded(target)
    scorer = Scorer(store.load("diving"), "torch")
    prepared = np.stack([load_clip(path, scorer.spec) for path in clips])
    expected = scorer.engine.score(prepared).features.mean(axis=(3, 4, 5))  # (N, K, D)
    assert found["features"].dtype == np.float32
    assert found["features"].shape == (2, expected.shape[1] * expected.shape[2])
    fragments = list(used or range(9))
    for place, (fragment, channel) in enumerate(
        zip(found["fragment"], found["channel"], strict=True)
    ):
        value = expected[:, fragments.index(int(fragment)), int(channel)]
        assert found["features"][:, place] == pytest.approx(value, abs=1e-5)
    scores = [each.score for each in scorer.score(list(prepared))]
    assert found["score"] == pytest.approx(np.array(scores), abs=1e-3)
    assert found["names"].tolist() == list(map(str, clips))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in clips]
    assert found["sha256"].tolist() == digests
    assert str(found["checkpoint"]) == "diving@1"
    assert str(found["checkpoint_sha256"]) == scorer.checkpoint.sha256
    assert np.isnan(found["judged_score"]).all()


def test_a_table_brings_the_judges_and_a_bad_clip_is_left_out(
    store: Store, clips: list[Path], tmp_path: Path
) -> None:
    publish_tiny(store, "diving", target="both", calibrated=True)
    table = tmp_path / "meet.csv"
    first, second = clips
    table.write_text(
        "clip;difficulty;score;start_s\n"
        f"{first};3,2;71,5;\nnone.mp4;;60;\n{second};;;0,5\n"
    )  # fmt: skip
    target = tmp_path / "features"  # has that name, and no ending is added
    result = run("--annotations", table, "--out", target)
    assert result.exit_code == 1
    assert "none.mp4" in result.stderr
    found = loaded(target)
    assert found["names"].tolist() == [str(first), str(second)]
    assert found["judged_score"][0] == 71.5
    assert np.isnan(found["judged_score"][1])
    assert np.isnan(found["start_s"][0])
    assert found["start_s"][1] == 0.5
    scorer = Scorer(store.load("diving"), "torch")
    [score] = scorer.score([load_clip(first, scorer.spec)])
    assert score.of_execution is not None
    assert found["score"][0] == pytest.approx(3.2 * score.of_execution.score, abs=1e-3)


def test_a_score_that_needs_a_difficulty_is_nan_and_the_features_are_there(
    store: Store, clips: list[Path], tmp_path: Path
) -> None:
    publish_tiny(store, "diving", target="execution", calibrated=True)
    target = tmp_path / "features.npz"
    assert run(clips[0], "--out", target).exit_code == 0
    found = loaded(target)
    assert np.isnan(found["score"]).all()
    assert np.isfinite(found["features"]).all()


def test_without_a_clip_nothing_is_written(store: Store, tmp_path: Path) -> None:
    publish_tiny(store, "diving")
    bad, target = tmp_path / "bad.mp4", tmp_path / "features.npz"
    bad.write_bytes(b"not a video")
    result = run(bad, "--out", target)
    assert result.exit_code == 1
    assert "not a video" in result.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "features.npz"], "need either CLIP"),
        (["clip.mp4", "--out", "clip.mp4"], "would be overwritten"),
        (["clip.mp4", "--out", "features.npz", "--action", "rowing"], "no checkpoint"),
    ],
)
def test_a_bad_command_is_refused(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    publish_tiny(store, "diving")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert (tmp_path / "clip.mp4").read_bytes() == b"a video"
