"""`baseline --folds`: the folds of `train --folds`, and nothing of a clip in what predicts it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.training.bright import rows_of, write_rows
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import read_annotations
from training.data.datasets.hashes import clip_hashes

pytestmark = pytest.mark.usefixtures("few_resamples")

FOLDS = ("--folds", 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    publish_tiny(Store(folder), "vault", used=(0, 1))
    return folder


def by_pool5(store: Path, cache: Path) -> tuple[object, ...]:
    """Options of `baseline` with the extractors of a vault checkpoint."""
    words = ("--method", "c3d-pool5-svr", "--checkpoint", "vault")
    return (*words, "--store", store, "--cache", cache)


@pytest.fixture(scope="module")
def of_vault(cache: Path, store: Path) -> tuple[object, ...]:
    return by_pool5(store, cache)


def measured(data: Path, out: Path, *words: object) -> dict[str, Any]:
    succeed("baseline", "--data", data, "--json", out, *words)
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def copy_of(bright: Path, folder: Path, rows: list[dict[str, str]]) -> Path:
    """The same clips with other rows."""
    folder.mkdir()
    (folder / "clips").symlink_to(bright / "clips")
    write_rows(folder, rows)
    return folder


@pytest.fixture(scope="module")
def figures(
    bright: Path, of_vault: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("figures") / "svr.json"
    return measured(bright, out, *of_vault, *FOLDS)


def test_figures_are_those_of_every_training_clip_and_of_no_test_clip(
    bright: Path, figures: dict[str, Any]
) -> None:
    train = read_annotations(bright, "train")
    judged_of = dict(zip(clip_hashes(train), (clip.score for clip in train), strict=True))
    scores = figures["scores"]
    assert scores["sha256"] == sorted(judged_of)
    assert scores["judged"] == [judged_of[digest] for digest in scores["sha256"]]
    judged, predicted, fold = (np.array(scores[n]) for n in ("judged", "predicted", "fold"))
    assert (figures["folds"], figures["clips"], figures["train_clips"]) == (3, 60, 60)
    assert figures["spearman"] == pytest.approx(spearmanr(predicted, judged).statistic)
    assert figures["mean_distance"] == pytest.approx(np.abs(predicted - judged).mean())
    assert np.bincount(fold).tolist() == [20, 20, 20]
    means = np.array([judged[fold != each].mean() for each in fold])
    mean_distance = np.abs(means - judged).mean()
    assert figures["training_mean"]["mean_distance"] == pytest.approx(mean_distance)
    assert figures["spearman_by_fold"][2] == pytest.approx(
        spearmanr(predicted[fold == 2], judged[fold == 2]).statistic
    )


def test_no_prediction_depends_on_the_score_of_its_own_fold(
    bright: Path, of_vault: tuple[object, ...], figures: dict[str, Any], tmp_path: Path
) -> None:
    """With other scores in one fold, only the clips of the others are predicted otherwise."""
    scores = figures["scores"]
    held = {d for d, fold in zip(scores["sha256"], scores["fold"], strict=True) if fold == 1}
    rows, clips = rows_of(bright), read_annotations(bright)
    for row, clip, digest in zip(rows, clips, clip_hashes(clips), strict=True):
        if digest in held:
            row["score"] = str(25 - clip.score)
    data = copy_of(bright, tmp_path / "data", rows)
    other = measured(data, tmp_path / "svr.json", *of_vault, *FOLDS)["scores"]
    assert other["fold"] == scores["fold"]
    same = np.isclose(other["predicted"], scores["predicted"], atol=1e-9, rtol=0)
    assert same.tolist() == [fold == 1 for fold in scores["fold"]]


def test_neither_rows_nor_test_clips_count(
    bright: Path, of_vault: tuple[object, ...], figures: dict[str, Any], tmp_path: Path
) -> None:
    rows = [row for row in rows_of(bright)[::-1] if row["split"] == "train"]
    data = copy_of(bright, tmp_path / "data", rows)
    assert measured(data, tmp_path / "a.json", *of_vault, *FOLDS)["scores"] == figures["scores"]


def test_it_stands_in_a_report_beside_a_run_of_as_many_folds(
    bright: Path, cache: Path, store: Path, of_vault: tuple[object, ...], tmp_path: Path
) -> None:
    rows = [row | {"group": f"athlete {n // 5}"} for n, row in enumerate(rows_of(bright))]
    data = copy_of(bright, tmp_path / "bright", rows)
    succeed(
        "train", "--base", "vault", "--store", store, "--data", data, "--out", tmp_path / "run",
        "--cache", cache, "--target", "final", *FOLDS,
    )  # fmt: skip
    good, bad, tested = (tmp_path / f"{name}.json" for name in ("good", "bad", "tested"))
    kept = measured(data, good, *of_vault, *FOLDS)
    words = ("report", "--run", tmp_path / "run", "--cache", cache, "--engine", "torch")
    succeed(*words, "--baseline", good, "--out", tmp_path / "report")
    numbers = json.loads((tmp_path / "report" / "report.json").read_text())["bright"]
    [baseline] = numbers["baselines"]
    assert baseline["spearman"] == kept["spearman"]
    assert numbers["always_the_mean"]["value"] == pytest.approx(
        kept["training_mean"]["mean_distance"]
    )
    kept["scores"]["fold"][7] = (kept["scores"]["fold"][7] + 1) % 3
    bad.write_text(json.dumps(kept))
    measured(data, tested, *of_vault)
    for file, message in ((bad, "1 clips differ"), (tested, "is measured on the test split of")):
        answer = error_message(call(*words, "--baseline", file, "--out", tmp_path / "x"))
        assert message in " ".join(answer.split())


def test_clips_that_trained_the_features_are_never_held_out(
    bright: Path, cache: Path, tmp_path: Path
) -> None:
    """As with `train --folds --base`."""
    rows = rows_of(bright)
    taught = copy_of(bright, tmp_path / "taught", rows[:20])
    succeed(
        "train", "--action", "vault", "--data", taught, "--out", tmp_path / "run", "--cache", cache,
        "--resize", "16x16", "--width", 1 / 32, "--epochs", 0, "--readout", "--no-augment",
    )  # fmt: skip
    store = tmp_path / "store"
    succeed("publish", "--run", tmp_path / "run", "--name", "vault", "--full", "--store", store)
    found = measured(bright, tmp_path / "a.json", *by_pool5(store, cache), *FOLDS)
    seen = set(json.loads((store / "vault/1/card.json").read_text())["clips"]["training"])
    assert 10 < len(seen) < 20
    held = {digest[: len(next(iter(seen)))] for digest in found["scores"]["sha256"]}
    assert not held & seen
    assert len(held) == 60 - len(seen)


def test_too_many_folds_are_refused(bright: Path, of_vault: tuple[object, ...]) -> None:
    output = error_message(call("baseline", "--data", bright, *of_vault, "--folds", 40))
    assert "or fewer folds" in " ".join(output.split())
