"""`--kind` through the command line: looking at a data set, training on it, measuring."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.command_line import call, error_message, succeed
from tests.training.data.datasets.layouts import FRAMES, WRITERS, score_of, write_ucf101


@pytest.mark.parametrize("kind", WRITERS)
def test_what_was_found_is_printed(
    kind: str, published: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    output = succeed("datasets", "check", "--kind", kind, published(kind))
    train, test = (7, 5) if kind == "mit-skate" else (9, 3)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    counts = {row[0]: row[1] for row in rows if row and row[0] in ("train", "test")}
    assert counts == {"train": str(train), "test": str(test)}
    videos = 12 if kind in ("unlv-dive", "unlv-vault", "mit-skate") else 0
    assert f"{videos} videos and {12 - videos} folders of frames" in output
    assert f"{FRAMES}–{FRAMES} frames a clip" in output
    assert "were published" in output  # a tiny copy is not the whole
    groups = {"mtl-aqa": "2 groups", "finediving": "2 groups"}.get(kind, "no groups")
    assert groups in output
    both = "groups have clips for training and for testing: "
    assert (both in " ".join(output.split())) == (groups != "no groups")


def test_scores_are_summed_up(
    published: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    result = call("datasets", "check", "--kind", "unlv-dive", published("unlv-dive"))
    train = np.array([score_of(n) for n in range(1, 13) if n % 4 != 1])
    expected = f"{train.mean():.2f} ± {train.std():.2f}, {train.min():.4g}–{train.max():.4g}"
    assert expected in result.output


def test_a_folder_is_named_as_it_is(
    published: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = shutil.copytree(published("unlv-dive"), tmp_path / "meet [old] :dash:")
    result = call("datasets", "check", "--kind", "unlv-dive", folder)
    assert f"unlv-dive in {folder}" in result.output


def test_classes_are_counted(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    output = succeed("datasets", "check", "--kind", "ucf-101", tmp_path)
    assert "2 classes" in output
    assert "8 groups" in output
    assert "warning" not in output
    assert "12 clips for train, 9537 were published" in output
    assert "for pretrain" in error_message(
        call("train", "--kind", "ucf-101", "--data", tmp_path, "--out", tmp_path / "run")
    )


def test_what_is_wrong_across_rows_is_found(
    published: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(published("unlv-dive"), tmp_path / "dive")
    videos = folder / "diving_samples_len_ori"
    shutil.copy(videos / "001.avi", videos / "002.avi")
    message = error_message(call("datasets", "check", "--kind", "unlv-dive", folder))
    assert (
        f"1 clips are for training and for testing, the same bytes: {videos}/002.avi = {videos}/001"
        in message
    )


def test_a_group_of_ucf101_on_both_sides(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    lists = tmp_path / "ucfTrainTestlist"
    moved = "YoYo/v_YoYo_g01_c02.avi"
    test = lists / "testlist01.txt"
    test.write_text(test.read_text().replace(f"{moved}\n", ""))
    with (lists / "trainlist01.txt").open("a") as file:
        file.write(f"{moved} 2\n")
    result = call("datasets", "check", "--kind", "ucf-101", tmp_path)
    assert "warning: 1 groups have clips for training and for testing: YoYo_g01" in result.output


@pytest.mark.parametrize("command", ["check", "train", "baseline"])
def test_what_is_wrong_is_one_message(
    command: str, published: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(published("unlv-dive"), tmp_path / "dive")
    (folder / "diving_samples_len_ori" / "007.avi").unlink()
    words = {
        "check": ("datasets", "check", folder),
        "train": ("train", "--data", folder, "--out", tmp_path / "run"),
        "baseline": ("baseline", "--method", "c3d-pool5-svr", "--data", folder),
    }[command]
    assert "007 is missing, need 007.avi" in error_message(call(*words, "--kind", "unlv-dive"))


def test_a_clip_that_does_not_open_is_named(
    published: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(published("unlv-dive"), tmp_path / "dive")
    (folder / "diving_samples_len_ori" / "007.avi").write_bytes(b"not a video")
    assert "007.avi" in error_message(call("datasets", "check", "--kind", "unlv-dive", folder))


def test_train_publish_and_evaluate_on_frames(
    published: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set in single frames goes all the way to a checkpoint with a golden clip."""
    monkeypatch.setattr(sys, "argv", ["training", "train", "--kind", "mtl-aqa"])
    data, run, store = published("mtl-aqa"), tmp_path / "run", tmp_path / "store"
    succeed(
        "train", "--kind", "mtl-aqa", "--action", "diving", "--data", data, "--out", run,
        "--cache", tmp_path / "cache", "--resize", "32x32", "--width", 1 / 32, "--epochs", 0,
        "--head-epochs", 1, "--head-variants", 1, "--validation", 0.3, "--no-augment",
    )  # fmt: skip
    assert json.loads((run / "run.json").read_text())["kind"] == "mtl-aqa"
    succeed("publish", "--run", run, "--name", "dives", "--store", store)
    figures = tmp_path / "figures.json"
    succeed(
        "evaluate", "--kind", "mtl-aqa", "--checkpoint", "dives", "--data", data, "--store", store,
        "--json", figures, "--engine", "torch",
    )  # fmt: skip
    measured = json.loads(figures.read_text())
    assert (measured["clips"], measured["kind"]) == (3, "mtl-aqa")
    assert measured["difficulty_alone"]["spearman"] is not None
