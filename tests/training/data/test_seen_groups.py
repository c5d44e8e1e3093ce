"""Other clips of an athlete or an event that trained a checkpoint are not quite new to it."""

import dataclasses
import json
from pathlib import Path

import pytest

from model_store.card import ClipsCard, group_hash
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.training.bright import rows_of, write_bright_dataset, write_rows
from tests.training.command_line import call
from training.data.datasets.annotations import read_annotations
from training.data.datasets.hashes import clip_hashes
from training.data.seen_clips import seen_among
from training.release.calibrate import publish_calibrated
from training.release.publish import republish


@pytest.fixture(scope="module")
def meet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 clips, of which the ten test clips and ten others are of one athlete."""
    folder = write_bright_dataset(tmp_path_factory.mktemp("data") / "meet", 60)
    rows = rows_of(folder)
    for number, row in enumerate(rows):
        row["group"] = "Ada" if number % 6 in (4, 5) else f"athlete {number}"
    write_rows(folder, rows)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A checkpoint that another clip of Ada trained."""
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "vault", used=(0,))
    checkpoint = store.load("vault")
    republish(store, checkpoint, clips=ClipsCard.of(groups=[group_hash("Ada"), group_hash("Eve")]))
    return store


def test_clips_of_a_known_group_are_found_and_named(meet: Path) -> None:
    clips = read_annotations(meet)
    seen = seen_among("x", ClipsCard.of(groups=[group_hash("Ada")]), clips)
    assert seen.counts == {"training": 0, "validation": 0, "calibration": 0, "groups": 20}
    [note] = seen.notes
    assert "20 of 60 clips share a group" in note
    assert "004.mp4" in note
    assert seen.not_quite_new == [note]


def test_a_clip_with_a_role_is_not_said_to_be_of_its_group_as_well(meet: Path) -> None:
    clips = read_annotations(meet)
    ada = [clip for clip in clips if clip.group == "Ada"]
    known = ClipsCard.of(training=clip_hashes(ada[:3]), groups=[group_hash("Ada")])
    seen = seen_among("x", known, clips)
    assert (seen.counts["training"], seen.counts["groups"]) == (3, 17)
    assert len(seen.notes) == 2
    assert len(seen.not_quite_new) == 1


def test_clips_without_a_group_share_none(meet: Path) -> None:
    clips = [dataclasses.replace(clip, group=None) for clip in read_annotations(meet)]
    assert seen_among("x", ClipsCard.of(groups=[group_hash("Ada")]), clips).notes == []


def test_measuring_and_calibrating_warn(meet: Path, store: Store, tmp_path: Path) -> None:
    common = ["--checkpoint", "vault", "--store", store.root, "--engine", "torch", "--data", meet]
    result = call("evaluate", *common, "--json", tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    output = result.output.replace("\n", " ")
    assert "10 of 10 clips share a group, such as an athlete or an event, with clips" in output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["seen"]["groups"] == 10
    result = call("calibrate", *common)
    assert result.exit_code == 0, result.output
    assert "20 of 60 clips share a group" in result.output.replace("\n", " ")
    card = store.load("vault").card
    assert card.calibration is not None
    assert card.clips.groups == sorted([group_hash("Ada"), group_hash("Eve")])


def test_calibrating_keeps_what_trained_it(meet: Path, store: Store) -> None:
    checkpoint, clips = store.load("vault@2"), read_annotations(meet)
    published = publish_calibrated(store, checkpoint, None, clips)  # type: ignore[arg-type]
    assert published.card.clips.groups == checkpoint.card.clips.groups
