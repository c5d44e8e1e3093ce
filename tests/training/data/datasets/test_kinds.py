"""Every public data set from a tiny copy: the right score with the right clip, in its split."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from model_store.spec import VAULT
from tests.training.data.datasets.layouts import (
    CLIPS,
    FRAMES,
    RATES,
    WRITERS,
    brightness_of,
    difficulty_of,
    numbers_for_testing,
    score_of,
    write_aqa7,
)
from training.choices import Kind
from training.data.datasets.kinds import DATA_SETS, read_clips
from training.data.file_times import read_timed
from training.errors import DataError

SMALL = dataclasses.replace(VAULT, resize=(32, 32), crop=(32, 32))


@pytest.mark.parametrize("kind", WRITERS)
def test_each_clip_has_its_own_score(kind: str, published: Callable[[str], Path]) -> None:
    """Pixels are as bright as the score says: one clip off would show."""
    clips = read_clips(kind, published(kind))
    assert len(clips) == CLIPS
    assert sorted(clip.score for clip in clips) == sorted(score_of(n) for n in range(1, CLIPS + 1))
    spec = dataclasses.replace(SMALL, fps=RATES.get(kind, Fraction(30)))
    for clip in clips:
        decoded, _ = read_timed(clip.source, spec)
        assert len(decoded.frames) == FRAMES
        seen = np.median(decoded.frames)
        assert seen == pytest.approx(brightness_of(clip.score), abs=3.5)  # they are 8 apart


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "mit-skate"])
def test_the_official_split(kind: str, published: Callable[[str], Path]) -> None:
    tests = [score_of(number) for number in numbers_for_testing(CLIPS)]
    assert sorted(c.score for c in read_clips(kind, published(kind), "test")) == sorted(tests)
    train = read_clips(kind, published(kind), "train")
    assert len(train) == CLIPS - len(tests)
    assert not {clip.score for clip in train} & set(tests)


@pytest.mark.parametrize("kind", ["unlv-dive", "mtl-aqa", "finediving"])
def test_difficulty_and_execution(kind: str, published: Callable[[str], Path]) -> None:
    by_score = {score_of(n): difficulty_of(n) for n in range(1, CLIPS + 1)}
    for clip in read_clips(kind, published(kind)):
        assert clip.difficulty == pytest.approx(by_score[clip.score])
        assert clip.execution is not None
        assert clip.difficulty is not None
        assert clip.execution * clip.difficulty == pytest.approx(clip.score)


def test_marks(published: Callable[[str], Path]) -> None:
    assert read_clips("mtl-aqa", published("mtl-aqa"))[0].marks == (7.5, 8.0, 8.5)
    assert read_clips("finediving", published("finediving"))[0].marks == (7.0, 8.0)
    assert read_clips("unlv-dive", published("unlv-dive"))[0].marks == ()


def test_groups(published: Callable[[str], Path]) -> None:
    for kind in WRITERS:
        groups = {clip.group for clip in read_clips(kind, published(kind))}
        expected = {"mtl-aqa": {"01", "26"}, "finediving": {"Event0_final", "Event1_final"}}
        assert groups == expected.get(kind, {None})


def test_clips_are_named_within_their_data_set(published: Callable[[str], Path]) -> None:
    names = {kind: read_clips(kind, published(kind))[0].columns["clip"] for kind in WRITERS}
    assert names["unlv-dive"] == "diving_samples_len_ori/012.avi"  # the split's order
    assert names["aqa-7-vault"] == "Actions/gym_vault-out/002"
    assert names["mtl-aqa"] == "01/2"
    assert names["finediving"] == "Event0_final_r2/2"


def test_other_actions_of_aqa7(tmp_path: Path) -> None:
    write_aqa7(tmp_path, "sync_diving_3m", 5)
    assert len(read_clips("aqa-7-sync-3m", tmp_path)) == CLIPS
    with pytest.raises(DataError, match="no clips of ski_big_air"):
        read_clips("aqa-7-ski", tmp_path)


def test_every_kind_has_its_reader(tmp_path: Path) -> None:
    assert set(Kind) == set(DATA_SETS) | {"ucf-101"}
    with pytest.raises(DataError, match="classes and no scores"):
        read_clips("ucf-101", tmp_path)
    for kind in DATA_SETS:
        with pytest.raises(DataError, match=r"missing|lacks|no clip"):
            read_clips(kind, tmp_path)
        with pytest.raises(DataError, match="not a folder"):
            read_clips(kind, tmp_path / "none")
