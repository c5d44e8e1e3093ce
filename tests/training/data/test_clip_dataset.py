"""The clips of a run: in an order and on sides that rows, folders and names do not change."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.card import ClipsCard, TrainedOn, group_hash
from model_store.spec import ClipSpec
from tests.clips import clip_bytes
from tests.training.bright import rows_of, write_rows
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.split import Origin


def opened(
    spec: ClipSpec, cache: Path, *folders: Path, validation: float = 0.25, **options: Any
) -> ClipDataset:
    return open_dataset(
        tuple(map(str, folders)), spec, validation=validation, cache=cache, **options
    )


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all may keep decoded clips: they are found by their bytes."""
    return tmp_path_factory.mktemp("decoded")


def write(folder: Path, rows: list[dict[str, str]], clips: Path) -> Path:
    """A data set of these rows, its clips linked."""
    (folder / "clips").mkdir(parents=True)
    for row in rows:
        (folder / row["clip"]).hardlink_to(clips / Path(row["clip"]).name)
    write_rows(folder, rows)
    return folder


def sides(dataset: ClipDataset) -> tuple[set[str], set[str]]:
    training, validation = dataset.training, dataset.validation
    return {dataset.hashes[n] for n in training}, {dataset.hashes[n] for n in validation}


def test_folds_make_up_the_training_split(bright: Path, spec: ClipSpec, decoded: Path) -> None:
    folds = [opened(spec, decoded, bright, folds=5, fold=i) for i in range(5)]
    assert sorted(np.concatenate([fold.validation for fold in folds])) == list(range(60))
    for fold in folds:
        assert len(fold.validation) >= 2
        assert sorted([*fold.training, *fold.validation]) == list(range(60))
        assert all(clip.split == "train" for clip in fold.clips)


def test_rows_folders_and_names_change_nothing(
    bright: Path, spec: ClipSpec, tmp_path: Path
) -> None:
    rows = rows_of(bright)
    one = opened(spec, tmp_path / "cache", bright)
    shuffled = write(tmp_path / "shuffled", rows[::-1], bright / "clips")
    parts = [
        write(tmp_path / name, part, bright / "clips")
        for name, part in (("odd", rows[1::2]), ("even", rows[::2]))
    ]
    renamed = tmp_path / "renamed"
    shutil.copytree(bright / "clips", renamed / "clips")
    for n, row in enumerate(rows):
        (renamed / row["clip"]).rename(renamed / f"clips/x{n}.mp4")
    changed = [row | {"clip": f"clips/x{n}.mp4"} for n, row in enumerate(rows)]
    write(tmp_path / "of names", changed, renamed / "clips")
    for folders in ([shuffled], parts, parts[::-1], [tmp_path / "of names"]):
        other = opened(spec, tmp_path / "cache", *folders)
        assert other.hashes == one.hashes
        assert sides(other) == sides(one)
        assert np.array_equal(other.judged, one.judged)
    assert len([*(tmp_path / "cache").iterdir()]) == 1  # decoded once


def test_weights_have_seen_what_their_origin_has(
    bright: Path, spec: ClipSpec, decoded: Path
) -> None:
    first = opened(spec, decoded, bright)
    unknown: dict[str, TrainedOn] = {"old@1": "real"}
    seen = ClipsCard.of(training=["0" * 64], validation=["1" * 64], unlisted=unknown)
    dataset = opened(spec, decoded, bright, origin=Origin("base@1", seen))
    assert dataset.seen.training == sorted({"0" * 16, *first.seen.training})
    assert dataset.seen.validation == sorted({"1" * 16, *first.seen.validation})
    assert dataset.seen.unlisted == unknown
    assert "base@1 was trained on old@1 too" in dataset.notes[0]
    simulated = Origin("base@1", ClipsCard.of(unlisted={"old@1": "simulated"}))
    assert not opened(spec, decoded, bright, origin=simulated).notes  # as these clips are not


def test_clips_that_taught_the_origin_are_not_fresh(
    bright: Path, spec: ClipSpec, decoded: Path
) -> None:
    dataset = opened(spec, decoded, bright)
    assert dataset.fresh.tolist() == dataset.training.tolist()
    taught = [dataset.hashes[n] for n in dataset.training[:20]]
    seen = ClipsCard.of(training=taught)
    after = opened(spec, decoded, bright, origin=Origin("base@1", seen))
    assert {after.hashes[n] for n in after.fresh} == sides(after)[0] - {*taught}
    assert len(after.fresh) == len(after.training) - 20


def test_nor_are_those_that_belong_with_one_that_did(
    bright: Path, spec: ClipSpec, decoded: Path, tmp_path: Path
) -> None:
    rows = [row for row in rows_of(bright) if row["split"] == "train"]
    grouped = [row | {"group": f"athlete {n // 2}"} for n, row in enumerate(rows)]
    data = write(tmp_path / "grouped", grouped, bright / "clips")
    one_of_each = {Path(row["clip"]).name for row in grouped[:20:2]}
    dataset = opened(spec, decoded, data)
    taught = [
        h for h, c in zip(dataset.hashes, dataset.clips, strict=True) if c.path.name in one_of_each
    ]
    after = opened(spec, decoded, data, origin=Origin("base@1", ClipsCard.of(training=taught)))
    assert len(after.fresh) == len(after.training) - 20


def test_the_groups_of_what_trained_are_known_by_their_hashes(
    bright: Path, spec: ClipSpec, decoded: Path, tmp_path: Path
) -> None:
    rows = [row for row in rows_of(bright) if row["split"] == "train"]
    grouped = [row | {"group": f"athlete {n // 2}" if n < 40 else ""} for n, row in enumerate(rows)]
    dataset = opened(spec, decoded, write(tmp_path / "grouped", grouped, bright / "clips"))
    groups = {dataset.clips[n].group for n in dataset.training} - {None}
    assert 0 < len(groups) < 20  # the others validate
    assert dataset.seen.groups == sorted(map(group_hash, groups))


def test_a_clip_may_be_read_again(bright: Path, spec: ClipSpec, tmp_path: Path) -> None:
    """Other bytes under the same name are another clip, in the same process too."""
    rows = rows_of(bright)[:12]
    shutil.copytree(bright / "clips", tmp_path / "mine")
    folder = write(tmp_path / "data", rows, tmp_path / "mine")
    before = opened(spec, tmp_path / "cache", folder)
    clip = folder / rows[0]["clip"]
    clip.write_bytes(clip_bytes(frames=36, height=32, width=32))
    after = opened(spec, tmp_path / "cache", folder)
    assert len({*before.hashes} & {*after.hashes}) == 9
