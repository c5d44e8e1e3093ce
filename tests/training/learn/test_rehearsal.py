"""Clips that a base could score and is not to forget: they train, and measure nothing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_store.card import ClipsCard
from tests.training.bright import (
    SMALL,
    Quiet,
    beside_a_readout,
    bright_run,
    darker_in_red,
    darker_is_better,
    write_bright_dataset,
)
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.split import Origin
from training.distributed import ALONE
from training.errors import DataError
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import read_summary
from training.learn.trainer import Trainer
from training.learn.training_run import TrainingRun


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("rehearsal")
    return write_bright_dataset(folder / "own", 36), darker_is_better(folder / "other", 24)


@pytest.fixture
def run(folders: tuple[Path, Path], tmp_path: Path) -> RunSpec:
    """A line that is fitted to clips of both kinds, and nothing else."""
    own, other = map(str, folders)
    plain = bright_run(own, seed=1, epochs=1, extractor_rate=0.0, rate=0.0, validation=0.1)
    return dataclasses.replace(beside_a_readout(plain, tmp_path), rehearse=(other,), epochs=0)


def test_rehearsed_clips_train_and_never_validate(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    own, other = map(str, folders)
    dataset = open_dataset((own,), SMALL, rehearse=(other,), validation=0.2, folds=3, fold=1,
                             cache=tmp_path)  # fmt: skip
    alone = open_dataset((own,), SMALL, validation=0.2, folds=3, fold=1, cache=tmp_path)
    assert dataset.rehearsed.sum() == 20
    assert set(np.flatnonzero(dataset.rehearsed)) <= set(dataset.training)
    held = {dataset.hashes[n] for n in dataset.validation}
    assert held == {alone.hashes[n] for n in alone.validation}
    assert {dataset.hashes[n] for n in dataset.own} == {alone.hashes[n] for n in alone.training}
    assert (dataset.mean, dataset.deviation) == (alone.mean, alone.deviation)
    assert len(dataset.seen.training) == len(dataset.training)
    every = dataset.in_fold(None)
    assert len(every.training) == 50
    with pytest.raises(DataError, match="among the clips and among those to rehearse"):
        open_dataset((own,), SMALL, rehearse=(own,), validation=0.2, cache=tmp_path)


def test_what_is_rehearsed_is_kept(run: RunSpec, tmp_path: Path) -> None:
    """A line is fitted to both kinds: to the rehearsed one as far as it counts."""
    dataset = open_dataset(run.data, SMALL, rehearse=run.rehearse, validation=0.2,
                           cache=tmp_path / "cache")  # fmt: skip
    ignored, own = errors_of(dataclasses.replace(run, rehearsal=0.0), dataset, tmp_path / "0")
    kept, beside = errors_of(dataclasses.replace(run, rehearsal=1.0), dataset, tmp_path / "1")
    assert kept < 0.6 * ignored
    assert own <= beside


def test_a_line_for_each_kind_is_better_than_one_for_both(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, rehearse=(str(darker_in_red(tmp_path / "red", 24)),))
    dataset = open_dataset(run.data, SMALL, rehearse=run.rehearse, validation=0.2,
                           cache=tmp_path / "cache")  # fmt: skip
    kept, beside = errors_of(dataclasses.replace(run, rehearsal=1.0), dataset, tmp_path / "1")
    network = dataclasses.replace(run.network, other_kind=True)
    apart = dataclasses.replace(run, network=network, apart=True)
    other, own = errors_of(apart, dataset, tmp_path / "apart")
    assert own < 0.6 * beside
    assert other < 0.7 * kept


def test_a_line_learns_from_clips_that_its_extractor_has_seen(run: RunSpec, tmp_path: Path) -> None:
    """Only what a head says of the clips that taught it is too good to be weighed."""
    dataset = open_dataset(run.data, SMALL, rehearse=run.rehearse, validation=0.2,
                           cache=tmp_path / "cache")  # fmt: skip
    rehearsed = (dataset.hashes[n] for n in np.flatnonzero(dataset.rehearsed))
    seen = dataclasses.replace(
        dataset, origin=Origin("pre-training", ClipsCard.of(training=rehearsed))
    )
    assert set(seen.fresh) == set(dataset.own)
    counted = dataclasses.replace(run, rehearsal=1.0)
    assert errors_of(counted, seen, tmp_path / "seen") == pytest.approx(
        errors_of(counted, dataset, tmp_path / "new")
    )


def errors_of(run: RunSpec, dataset: ClipDataset, path: Path) -> tuple[float, float]:
    """Mean error in points where its line begins: of rehearsed clips, and of the own ones."""
    folder = RunFolder(path)
    folder.open(run.to_json())
    trainer = Trainer(run, dataset, folder)
    trainer.train(Quiet())
    [view] = trainer.features(Quiet()).served
    off = np.abs(trainer.learner.predict([[view]]).whole[:, 0] - dataset.judged)
    return float(off[dataset.rehearsed].mean()), float(off[dataset.own].mean())


def test_the_summary_tells_both_and_the_golden_clip_is_a_rehearsed_one(
    run: RunSpec, tmp_path: Path
) -> None:
    TrainingRun(run, tmp_path / "run", None, tmp_path / "cache", 60.0, ALONE).train()
    summary = read_summary(RunFolder(tmp_path / "run"))
    assert summary.splits["rehearsed"] == 20
    assert summary.splits["train"] + summary.splits["validation"] == 30
    assert Path(summary.golden).is_relative_to(run.rehearse[0])
    assert summary.description.count("judged clips in") == 2
