"""Scores on another scale than the action's are refused or at least told; real ones never."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.spec import DIVING, SKATING, VAULT, ClipSpec
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.scores import check_scores
from training.errors import DataError


def clips(*scores: float, **fields: Any) -> list[JudgedClip]:
    return [
        JudgedClip(path=Path(f"{n}.mp4"), split="train", score=float(score), columns={}, **fields)
        for n, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("spec", "scores"),
    [
        (DIVING, (21.6, 78.9, 105.0)),
        (DIVING, (0.0, 123.0)),  # 4.1 × 30
        (DIVING, 0.55 * np.array([60.0, 78.9, 99.0])),
        (VAULT, (12.3, 16.87)),
        (SKATING, (40.0, 95.0)),
        (dataclasses.replace(VAULT, action="ski", score_range=(0.0, 50.0)), (8.0, 50.0)),
    ],
)
def test_real_scores_pass_in_silence(
    spec: ClipSpec, scores: Sequence[float], capsys: pytest.CaptureFixture[str]
) -> None:
    check_scores(clips(*scores), spec)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "scores", "message"),
    [
        (DIVING, (78.0, 7888.0), "1 of 2 scores, as 7888 of 1.mp4, are far outside: diving is"),
        (DIVING, (788.0, 785.0), "2 of 2 scores, as 788 of 0.mp4"),
        (VAULT, (1230.0, 1687.0), "vault is scored from 0 to 20 points"),
        (VAULT, (78.0, 83.0), "vault is scored"),  # dives
        (
            dataclasses.replace(VAULT, action="ski", score_range=(0.0, 50.0)),
            (800.0,),
            "from 0 to 50",
        ),
        (dataclasses.replace(VAULT, score_range=(50.0, 60.0)), (12.0,), "from 50 to 60"),
    ],
)
def test_another_scale_is_refused(spec: ClipSpec, scores: tuple[float, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_scores(clips(*scores), spec)


def test_the_range_of_an_action_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    wide = dataclasses.replace(DIVING, action="points", score_range=(0.0, 10_000.0))
    check_scores(clips(7888.0, 9120.0), wide)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "judged", "message"),
    [
        (DIVING, clips(80.0, 160.0), "1 of 2 scores, as 160 of 1.mp4, are outside"),
        (DIVING, clips(7.5, 8.0, 10.0), "no score is above 10: diving is scored from 0 to 100"),
        (DIVING, clips(25.0, execution=25.0, difficulty=3.2), "is the clip's execution"),
        (VAULT, clips(9.1, execution=9.1, difficulty=6.4), "is the clip's execution"),
    ],
)
def test_what_is_doubtful_is_a_warning(
    spec: ClipSpec, judged: list[JudgedClip], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_scores(judged, spec)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert message in warning


@pytest.mark.parametrize(
    "fields",
    [{}, {"execution": 25.0}, {"execution": 25.0, "difficulty": 1.0}, {"difficulty": 3.2}],
)
def test_a_score_that_may_be_its_execution(
    fields: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    check_scores(clips(25.0, **fields), DIVING)
    assert not capsys.readouterr().err
