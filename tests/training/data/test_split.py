"""On which side a clip is: by its group or its bytes, and by what the origin has seen."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from model_store.card import ClipsCard
from model_store.contributions import Indices
from training.data.split import Origin, Sides, divide, name_units
from training.errors import DataError

NAMES = [hashlib.sha256(bytes([n])).hexdigest() for n in range(120)]


def divided(
    hashes: list[str],
    share: float = 0.2,
    *,
    groups: Sequence[str | None] | None = None,
    leader: Indices | None = None,
    **options: Any,
) -> Sides:
    unit_names = name_units(groups or [None] * len(hashes), hashes, leader)
    return divide(unit_names, hashes, share=share, **options)


def held(hashes: list[str], *arguments: Any, **options: Any) -> set[str]:
    return {hashes[n] for n in divided(hashes, *arguments, **options).validation}


def test_growth_moves_no_clip() -> None:
    before, after = held(NAMES[:60]), held(NAMES[:90])
    assert after & {*NAMES[:60]} == before
    assert after > before


def test_every_clip_is_in_one_of_equal_folds() -> None:
    folds = [held(NAMES, fold=(k, 5)) for k in range(5)]
    assert set().union(*folds) == {*NAMES}
    assert [len(fold) for fold in folds] == [24] * 5


@pytest.mark.parametrize("groups", [5, 7, 10, 20])
def test_a_few_groups_are_dealt_to_folds_of_like_size(groups: int) -> None:
    of = [f"event {n % groups}" for n in range(120)]
    folds = [divided(NAMES, groups=of, fold=(k, 5)) for k in range(5)]
    sizes = [len(fold.validation) for fold in folds]
    assert sum(sizes) == 120
    assert max(sizes) - min(sizes) <= 1 + 120 // groups
    for fold in folds:
        assert not {of[n] for n in fold.training} & {of[n] for n in fold.validation}


def test_a_group_of_most_clips_leaves_room_for_the_other_folds() -> None:
    of = ["Ann"] * 90 + [None] * 30
    sizes = sorted(len(divided(NAMES, groups=of, fold=(k, 4)).validation) for k in range(4))
    assert sizes == [10, 10, 10, 90]


def test_the_order_of_clips_does_not_matter() -> None:
    assert held(NAMES) == held(NAMES[::-1])
    assert held(NAMES, fold=(1, 5)) == held(NAMES[::-1], fold=(1, 5))


def test_a_larger_share_keeps_what_a_smaller_one_did() -> None:
    assert held(NAMES, 0.1) < held(NAMES, 0.3)
    assert len(held(NAMES, 0.3)) == pytest.approx(36, abs=15)


def test_what_belongs_together_is_one_unit() -> None:
    leader = np.arange(8)
    leader[1] = 0  # a pair
    hashes = [*NAMES[:5], NAMES[4], *NAMES[6:8]]  # the fifth and the sixth are the same bytes
    groups = [None, None, "Ann", "Ann", "Ben", None, "Ben", None]
    unit_names = name_units(groups, hashes, leader)
    together = [[unit_names.index(unit) for unit in unit_names]]
    assert together == [[0, 0, 2, 2, 4, 4, 4, 7]]
    # Neither a further clip of a group nor a copy outside it gives the group another name.
    assert name_units(["Ann"], [NAMES[9]]) == [unit_names[2]]
    assert name_units(["Ann", "Ann", None], [*NAMES[2:4], NAMES[2]]) == [unit_names[2]] * 3


def test_groups_stay_on_one_side() -> None:
    groups = [f"athlete {n % 20}" for n in range(len(NAMES))]
    sides = divided(NAMES, 0.3, groups=groups)
    assert not {groups[n] for n in sides.training} & {groups[n] for n in sides.validation}


def test_few_clips_have_two_to_choose_by() -> None:
    for n in range(4, 12):
        assert len(held(NAMES[n : n + 4], 0.01)) == 2
    with pytest.raises(DataError, match="3 training clips, 2 of them"):
        divided(NAMES[:3])
    for k in range(4):  # no fold may begin before all of them can
        with pytest.raises(DataError, match=r"40 .*, 0 .* in one of 4 folds: need .* fewer folds"):
            divided(NAMES[:40], groups=["Ann", "Ben", "Cay"] * 13 + ["Ann"], fold=(k, 4))
    with pytest.raises(DataError, match="of one group"):
        divided(NAMES[:40], groups=["Ann"] * 40)


def origin(**roles: Any) -> Origin:
    return Origin("base@1", ClipsCard.of(**roles))


def test_what_trained_the_origin_does_not_validate() -> None:
    before = divided(NAMES[:60], 0.3)
    taught = [NAMES[n] for n in before.training]
    chose = [NAMES[n] for n in before.validation]
    # With a share of all, every clip that may is kept.
    sides = divided(NAMES, 0.999, origin=origin(training=taught, validation=chose))
    assert {NAMES[n] for n in sides.training} == {*taught}
    assert sides.notes == (f"{len(taught)} of 120 clips trained base@1: they do not validate",)
    # With a share of none, what chose its weights stays.
    kept = held(NAMES, 1e-9, origin=origin(training=taught, validation=chose))
    assert kept == {*chose}


def test_what_cannot_be_kept_of_the_split_is_said() -> None:
    groups = ["Ann", "Ann", *[None] * 58]
    base = origin(training=NAMES[:1], validation=NAMES[1:3], calibration=NAMES[3:])
    sides = divided(NAMES[:60], groups=groups, origin=base)
    assert {0, 1} <= {*sides.training.tolist()}
    assert 2 in sides.validation
    calibrated = sum(n >= 3 for n in sides.training)
    assert sides.notes == (
        "1 of 60 clips trained base@1: they do not validate",
        "1 clips chose the weights of base@1 and train now",
        f"{calibrated} clips calibrated base@1 and train now",
    )
    with pytest.raises(DataError, match="40 of them trained base@1 and cannot validate"):
        divided(NAMES[:41], origin=origin(training=NAMES[:40]))
    in_folds = [held(NAMES[:60], fold=(k, 2), origin=base) for k in range(2)]
    assert in_folds[0] | in_folds[1] == {*NAMES[:60]} - {NAMES[0]}
