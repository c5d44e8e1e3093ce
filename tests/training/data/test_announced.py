"""What an output is worth in points of the announced score, and which outputs clips can teach."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_store.spec import DIVING, VAULT, ClipSpec
from training.data.announced import Announced, default_target
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError


def clip(score: float, difficulty: float | None) -> JudgedClip:
    return JudgedClip(
        path=Path("one.mp4"), split="train", score=score, columns={}, difficulty=difficulty
    )


CLIPS = [clip(84.15, 3.3), clip(60.0, 2.0), clip(0.0, 1.5)]


@pytest.mark.parametrize(
    ("spec", "clips", "execution"),
    [
        (DIVING, CLIPS, [25.5, 30.0, 0.0]),
        (VAULT, [clip(14.3, 5.4), clip(9.0, 4.0)], [8.9, 5.0]),
    ],
)
def test_outputs_and_scores_are_one_another_by_the_rule(
    spec: ClipSpec, clips: list[JudgedClip], execution: list[float]
) -> None:
    announced, every = Announced.of(clips, spec, "both"), np.arange(len(clips))
    scores = np.array([each.score for each in clips])
    values = announced.value(scores[:, None], every)
    np.testing.assert_allclose(values[:, 0], scores)
    np.testing.assert_allclose(values[:, 1], execution, atol=1e-5)
    np.testing.assert_allclose(announced.score(values, every), np.stack([scores] * 2, 1), atol=1e-5)
    some = every[::-1][:2]
    np.testing.assert_allclose(announced.score(values[some], some)[:, 1], scores[some], atol=1e-5)
    alone = Announced.of(clips, spec, "execution")
    np.testing.assert_allclose(alone.value(scores[:, None], every), values[:, 1:])


def test_a_final_score_needs_no_difficulty() -> None:
    clips = [clip(50.0, None), clip(60.0, 2.0)]
    announced = Announced.of(clips, DIVING, "final")
    assert announced.value(np.array([[50.0], [60.0]]), np.arange(2)).tolist() == [[50.0], [60.0]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (clip(9.0, None), "no difficulty"),
        (clip(0.0, 5.2), "score 0 is below the difficulty 5.2"),
    ],
)
def test_a_clip_without_an_execution_teaches_the_final_score(
    wrong: JudgedClip, message: str
) -> None:
    rule = VAULT.difficulty_rule
    for target in ("execution", "both"):
        with pytest.raises(DataError, match=f"one.mp4 has no execution: {message}"):
            Announced.of([clip(14.3, 5.4), wrong], VAULT, target)
    target, why = default_target([clip(14.3, 5.4), wrong], rule)
    assert target == "final"
    assert why == f"1 of 2 clips have no execution, as one.mp4: {message}"
    assert default_target([clip(14.3, 5.4)], rule) == ("both", "all 1 clips have a difficulty")


def test_the_rule_is_the_actions() -> None:
    added = dataclasses.replace(DIVING, difficulty_rule="add")
    values = Announced.of(CLIPS[:2], added, "execution").value(
        np.array([[84.15], [60.0]]), np.arange(2)
    )
    np.testing.assert_allclose(values[:, 0], [80.85, 58.0], rtol=1e-6)
