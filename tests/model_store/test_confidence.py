import itertools
from typing import Any

import pytest

from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason, Trust, review_reasons
from model_store.judging.interval import Interval


def trust(*, wide: bool = False, unfamiliar: bool = False) -> Trust:
    interval = Interval(low=70, high=80, coverage=0.9)
    return Trust(
        interval=interval, width_limit=5 if wide else 20, distance=1.5 if unfamiliar else 0.5
    )


SHOWN = (False,) * 9


def test_a_good_clip_needs_no_review() -> None:
    assert review_reasons(trust(), blank=SHOWN, warnings=[ClipWarning.PADDED]) == ()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"trust": trust(unfamiliar=True)}, ReviewReason.UNFAMILIAR),
        ({"trust": trust(wide=True)}, ReviewReason.WIDE_INTERVAL),
        ({"trust": None}, ReviewReason.NOT_CALIBRATED),
        ({"blank": (False,) * 4 + (True,) * 5}, ReviewReason.MOSTLY_BLANK),
        ({"warnings": [ClipWarning.TRIMMED]}, ReviewReason.TRIMMED),
        ({"warnings": [ClipWarning.DECODE_ERRORS]}, ReviewReason.DECODE_ERRORS),
        ({"warnings": [ClipWarning.TRUNCATED]}, ReviewReason.DECODE_ERRORS),
    ],
)
def test_each_reason_alone(arguments: dict[str, Any], reason: ReviewReason) -> None:
    usual = {"trust": trust(), "blank": SHOWN, "warnings": []}
    values = usual | arguments
    assert review_reasons(values["trust"], blank=values["blank"], warnings=values["warnings"]) == (
        reason,
    )


def test_reasons_add_up() -> None:
    for wide, unfamiliar in itertools.product((False, True), repeat=2):
        reasons = review_reasons(
            trust(wide=wide, unfamiliar=unfamiliar), blank=(True,), warnings=[ClipWarning.TRIMMED]
        )
        assert len(reasons) == 2 + wide + unfamiliar


def test_an_interval_follows_its_score_through_the_difficulty() -> None:
    scaled = trust().scaled(3.0, 0.0).interval
    assert (scaled.low, scaled.high) == (210, 240)
    moved = trust().scaled(1.0, 5.8).interval
    assert (moved.low, moved.high) == pytest.approx((75.8, 85.8))


def test_the_limit_of_the_width_follows_the_difficulty_too() -> None:
    assert trust(wide=True).scaled(3.0, 0.0).wide
    assert not trust().scaled(3.0, 0.0).wide


def test_a_widened_interval_may_become_too_wide() -> None:
    widened = trust().widened(12.0)  # 5² + 12² = 13²
    assert (widened.interval.low, widened.interval.high) == (62, 88)
    assert widened.wide
    assert not trust().wide
