"""No clip is on two sides without a word: from training to base, calibration and figures."""

import contextlib
import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model_store.__main__ import app as store_commands
from model_store.card import ClipsCard
from model_store.checkpoint import Checkpoint
from model_store.store import Store
from tests.training.bright import write_bright_dataset
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import read_annotations
from training.data.datasets.hashes import clip_hashes
from training.data.seen_clips import seen_among, seen_files
from training.data.split import divide, name_units
from training.learn.extractor_file import extractor_clips
from training.learn.run_folder import RunFolder
from training.release.calibrate import teaching_clips

SIZE = ("--action", "vault", "--resize", "32x32")
SMALL = (*SIZE, "--width", 1 / 32, "--fragments", "0,2")


def done(*words: object) -> str:
    return succeed(*words).replace("\n", " ")


def train(data: str, out: str, *words: object) -> str:
    return done(
        "train", "--data", data, "--out", out, "--cache", "cache", "--head-epochs", 1,
        "--head-variants", 1, "--epochs", 0, "--batch", 4, "--target", "final", "--store", "store",
        *words,
    )  # fmt: skip


def evaluate(data: str, name: str, *words: object) -> tuple[str, dict[str, int]]:
    output = done(
        "evaluate", "--checkpoint", name, "--data", data, "--store", "store", "--engine", "torch",
        "--json", "figures.json", *words,
    )  # fmt: skip
    return output, json.loads(Path("figures.json").read_text())["seen"]


def loaded(name: str) -> Checkpoint:
    return Store("store").load(name)


def sides(out: str) -> tuple[set[str], set[str]]:
    """Hashes that a run trained on, and chose by."""
    clips = [clip.content for clip in RunFolder(Path(out)).clips()]
    training = {clip.sha256 for clip in clips if clip.side == "training"}
    return training, {clip.sha256 for clip in clips if clip.side == "validation"}


def linked(source: str, target: str, splits: dict[str, str]) -> None:
    """A data set of clips of another one, under other names, with their split by number."""
    Path(target).mkdir()
    with (Path(source) / "annotations.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if Path(row["clip"]).stem in splits]
    with (Path(target) / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "split", "score", "difficulty"])
        for row in rows:
            name = Path(row["clip"]).stem
            (Path(target) / f"copy-{name}.mp4").hardlink_to(Path(source) / row["clip"])
            writer.writerow([f"copy-{name}.mp4", splits[name], row["score"], row["difficulty"]])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data`, 54 clips of which 45 train; `run` of it, and its checkpoint `first` in `store`."""
    place = tmp_path_factory.mktemp("made")
    with contextlib.chdir(place):
        write_bright_dataset(Path("data"), 54)
        train("data", "run", *SMALL)
        done("publish", "--run", "run", "--name", "first", "--store", "store")
    return place


@pytest.fixture(autouse=True)
def _place(made: Path, tmp_path: Path) -> Iterator[None]:
    shutil.copytree(made, tmp_path / "place")
    with contextlib.chdir(tmp_path / "place"):
        yield


def test_the_card_lists_what_the_weights_have_seen() -> None:
    training, validation = sides("run")
    assert len(training | validation) == 45
    assert loaded("first").card.clips == ClipsCard.of(training=training, validation=validation)
    shown = json.loads(_shown("first"))
    assert "clips" not in shown


def _shown(name: str) -> str:
    return CliRunner().invoke(store_commands, ["show", name, "--store", "store"]).output


def test_a_base_keeps_its_split() -> None:
    """With another share, further clips, and under other names: none that it trained on chooses."""
    training, validation = sides("run")
    numbers = [f"{n:03d}" for n in range(54)]
    linked("data", "more", dict.fromkeys(numbers, "train"))
    output = train("more", "next", "--base", "first@1", "--validation", 0.4)
    trained, chose = sides("next")
    assert len(trained | chose) == 54
    assert not chose & training
    assert validation <= chose
    assert f"warning: {len(training)} of 54 clips trained first@1: they do not validate" in output
    done("publish", "--run", "next", "--name", "next", "--store", "store")
    clips = loaded("next").card.clips
    assert {*clips.training} >= {each[:16] for each in training}


def test_what_a_base_was_trained_on_before_is_on_the_card_too() -> None:
    linked(
        "data", "tests", {f"{n:03d}": "train" for n in range(5, 54, 6)}
    )  # what `first` never saw
    train("tests", "next", "--base", "first@1", "--validation", 0.4, "--no-readout")
    done("publish", "--run", "next", "--name", "next", "--store", "store")
    first, clips = loaded("first").card.clips, loaded("next").card.clips
    assert {*clips.training} > {*first.training}
    assert {*clips.validation} > {*first.validation}
    assert len(clips.training) + len(clips.validation) == 54
    output, seen = evaluate("data", "next")
    assert seen["training"] + seen["validation"] == 9
    assert f"{seen['training']} of 9 clips are known to next@1 and trained it" in output
    # Copied to another store it has seen the same.
    done("publish", "--source", "store", "--name", "next", "--store", "shop")
    assert Store("shop").load("next").card.clips == clips
    output = done(
        "publish", "--run", "next", "--name", "next", "--store", "store", "--metrics",
        "figures.json",
    )  # fmt: skip
    assert "was measured on clips that had been seen" in output
    assert "of these test clips it had seen" in (loaded("next").path / "README.md").read_text()


def test_a_clip_that_it_has_seen_is_noticed_under_any_name() -> None:
    _, unseen = evaluate("data", "first")
    assert unseen == {"training": 0, "validation": 0, "calibration": 0, "groups": 0}
    linked("data", "copies", {f"{n:03d}": "test" for n in range(12)})
    output, seen = evaluate("copies", "first", "--engine", "torch")
    assert seen["training"] + seen["validation"] == 10
    assert "known to first@1 and trained it: figures on them are too good" in output
    assert "copy-00" in output


def test_calibrating_on_what_it_has_seen_is_refused() -> None:
    words = ["calibrate", "--checkpoint", "first", "--data", "data", "--store", "store"]
    words += ["--engine", "torch"]
    output = error_message(call(*words))
    training, validation = sides("run")
    assert f"{len(training)} of 54 calibration clips trained first@1" in output
    assert "--allow-seen" in output
    assert Store("store").versions("first") == [1]
    output = done(*words, "--allow-seen")
    assert f"{len(validation)} of 54 clips are known to first@1 and chose its weights" in output


def test_coverage_on_calibrating_clips_is_noticed() -> None:
    write_bright_dataset(Path("others"), 44, seed=8)
    linked("others", "judged", {f"{n:03d}": "test" for n in range(44)})
    words = ["calibrate", "--checkpoint", "first", "--store", "store", "--engine", "torch"]
    output = error_message(call(*words, "--data", "judged", "--familiar", "others"))
    assert "are familiar ones, and there to calibrate on" in output
    assert "warning" not in done(*words, "--data", "judged", "--split", "test")
    output, seen = evaluate("judged", "first@2")
    assert seen == {"training": 0, "validation": 0, "calibration": 44, "groups": 0}
    assert "44 of 44 clips are known to first@2 and calibrated it: the coverage" in output
    clips = loaded("first@2").card.clips
    assert clips.training == loaded("first@1").card.clips.training
    assert clips.calibration == sorted(
        h[:16] for h in clip_hashes(read_annotations(Path("judged")))
    )
    # Foreign videos that are none.
    linked("judged", "foreign", {f"copy-{n:03d}": "test" for n in range(3)})
    output, _ = evaluate("data", "first@2", "--foreign", "foreign")
    assert "3 of 4 clips are known to first@2" in output


@pytest.mark.usefixtures("few_fragments_validate")
def test_an_extractor_keeps_its_clips_out_of_validation(six_vaults: Path) -> None:
    done(
        "pretrain", "--data", six_vaults, "--out", "extractor", "--cache", "cache", *SIZE,
        "--steps", 2, "--batch", 4,
    )  # fmt: skip
    file = Path("extractor") / "extractor.safetensors"
    taught = extractor_clips(file)
    assert (len(taught.training), len(taught.validation)) == (4, 2)
    linked("data", "new", {f"{n:03d}": "train" for n in range(3)})
    output = train(
        str(six_vaults), "run-2", "--data", "new", *SIZE, "--extractor", file, "--validation", 0.5
    )
    trained, chose = sides("run-2")
    assert {*taught.training} <= {each[:16] for each in trained}
    assert {*taught.validation} <= {each[:16] for each in chose}
    assert "4 of 9 clips trained extractor/extractor.safetensors" in output


def test_a_baseline_counts_test_clips_that_its_features_have_seen() -> None:
    numbers = [f"{n:03d}" for n in range(20)]
    linked("data", "mixed", {n: "test" if int(n) < 8 else "train" for n in numbers})
    output = done(
        "baseline", "--method", "c3d-pool5-svr", "--data", "mixed", "--checkpoint", "first",
        "--store", "store", "--json", "svr.json",
    )  # fmt: skip
    seen = json.loads(Path("svr.json").read_text())["seen"]
    assert seen["training"] + seen["validation"] == 7  # number 5 was a test clip
    assert f"{seen['training']} of 8 clips are known to c3d-pool5-svr and trained it" in output


@pytest.mark.usefixtures("few_resamples")
def test_a_report_warns_of_test_clips_that_a_run_has_seen() -> None:
    rows = (Path("data") / "annotations.csv").read_text().replace("000.mp4,train", "000.mp4,test")
    (Path("data") / "annotations.csv").write_text(rows)
    output = done("report", "--run", "run", "--out", "report", "--engine", "torch")
    assert "1 of 10 clips are known to run and" in output
    [data_set] = json.loads(Path("report/report.json").read_text()).values()
    assert sum(data_set["cells"][0]["seen"][0].values()) == 1


def test_simulated_clips_are_missed_by_judged_ones_alone(tmp_path: Path) -> None:
    clips = read_annotations(Path("data"))
    unlisted = ClipsCard.of(unlisted={"old@1": "simulated"})
    assert seen_among("x", unlisted, clips).notes == []
    (Path("data") / "tracks").mkdir()
    (Path("data") / "tracks" / "000.npz").write_bytes(b"")
    [note] = seen_among("x", unlisted, clips).notes
    assert "x was trained on old@1 too" in note


def test_an_empty_foreign_file_has_not_been_seen(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert seen_files(loaded("first"), [tmp_path / "empty"]).notes == []


def test_copies_calibrate_together() -> None:
    clips = read_annotations(Path("data"))
    twice = [*clips, *(dataclasses.replace(clip, score=1.0) for clip in clips)]
    teaching = teaching_clips(twice, seed=3)
    assert 24 <= len(teaching) <= 30
    rest = np.setdiff1d(np.arange(len(twice)), teaching)
    assert not {*(teaching % 54).tolist()} & {*(rest % 54).tolist()}


def test_folds_and_then_a_base() -> None:
    """A fold's checkpoint as base of a run on all clips: its own validation goes on to choose."""
    hashes = clip_hashes(read_annotations(Path("data"), "train"))
    unit_names = name_units([None] * len(hashes), hashes)
    fold = divide(unit_names, hashes, share=0.1, fold=(1, 3))
    train("data", "fold", *SMALL, "--folds", 3, "--fold", 1)
    assert sides("fold")[1] == {hashes[n] for n in fold.validation}
    done("publish", "--run", "fold", "--name", "fold", "--store", "store")
    train("data", "all", "--base", "fold")
    assert sides("all") == sides("fold")
