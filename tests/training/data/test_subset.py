"""Which clips a run learns from when it is to learn from a few."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from model_store.spec import ClipSpec
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.subset import Subset
from training.errors import DataError

UNITS = [f"unit {n}" for n in range(40)]


def chosen(clips: int, seed: int = 0, units: list[str] | None = None) -> set[int]:
    units = units or UNITS
    return set(Subset(clips, seed).of(np.arange(len(units)), units).tolist())


def test_those_of_a_smaller_number_are_among_those_of_a_larger() -> None:
    sizes = (2, 5, 20, 40)
    sets = [chosen(size) for size in sizes]
    assert [len(each) for each in sets] == list(sizes)
    assert all(few < more for few, more in itertools.pairwise(sets))


def test_the_seed_chooses_and_nothing_else() -> None:
    assert chosen(10) == chosen(10)
    assert chosen(10) != chosen(10, seed=1)
    turned = Subset(10, 0).of(np.arange(40), UNITS[::-1])
    assert {UNITS[::-1][n] for n in turned} == {UNITS[n] for n in chosen(10)}


def test_units_stay_whole() -> None:
    units = [f"group {n // 4}" for n in range(40)]
    few, more = chosen(6, units=units), chosen(14, units=units)
    assert (len(few), len(more)) == (8, 16)
    assert few < more
    assert {n // 4 for n in few} == {n // 4 for n in range(40) if {4 * (n // 4)} <= few}


def test_no_more_than_there_are() -> None:
    with pytest.raises(DataError, match="41 clips are to be learned from, but there are 40"):
        chosen(41)


def opened(bright: Path, spec: ClipSpec, cache: Path, subset: Subset | None) -> ClipDataset:
    return open_dataset(
        (str(bright),), spec, validation=0.2, folds=3, fold=1, subset=subset, cache=cache
    )


def test_the_clips_that_are_held_out_stay_the_same(
    bright: Path, spec: ClipSpec, tmp_path: Path
) -> None:
    every, few = (opened(bright, spec, tmp_path, each) for each in (None, Subset(12, 0)))
    assert few.validation.tolist() == every.validation.tolist()
    assert set(few.training) < set(every.training)
    assert len(few.training) == 12
    whole = few.in_fold(None)
    assert (len(whole.training), len(whole.validation)) == (12, 0)
    sides = [record.content.side for record in few.clip_records()]
    assert (sides.count("training"), sides.count("validation")) == (12, 20)
    assert sides.count("unused") == len(few.clips) - 12 - 20
    taught = {few.hashes[n][:16] for n in few.training}
    assert {digest[:16] for digest in few.seen.training} == taught
    with pytest.raises(DataError, match="41 clips"):
        opened(bright, spec, tmp_path, Subset(41, 0))
