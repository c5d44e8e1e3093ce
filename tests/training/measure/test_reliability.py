"""Predictions made by hand, so that every figure is known beforehand."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.confidence import Trust
from model_store.judging.interval import Interval
from model_store.network_spec import OUTPUTS, Target
from model_store.score import Score
from model_store.spec import VAULT
from tests.training.bright import at_spec_rate
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.stage_starts import StageStarts
from training.measure.evaluate import Evaluation
from training.measure.reliability import (
    all_shares,
    confidence_figures,
    difficulty_figures,
    fragment_figures,
    order_figures,
    pair_figures,
    shortcut_figures,
    stage_figures,
)
from training.metrics import spearman

STARTS = StageStarts((0, 16, 32, 48, 64))  # a fragment each; the last stage has two
RNG = np.random.default_rng(0)


def judged_clip(deductions: dict[str, float], **columns: str) -> JudgedClip:
    return JudgedClip(
        path=Path("clips/0.mp4"),
        split="test",
        score=15 - sum(deductions.values()),
        difficulty=None,
        execution=None,
        stage_starts=STARTS,
        deductions={stage: deductions.get(stage, 0.0) for stage in VAULT.stages},
        columns=columns,
    )


def scored(contribution: np.ndarray, trust: Trust | None = None) -> Score:
    return Score(
        score=15 + float(contribution.sum()),
        baseline=15.0,
        contribution=tuple(contribution),
        alone=tuple(15 + contribution),
        without=tuple(15 + contribution.sum() - contribution),
        blank=(False,) * 6,
        trust=trust,
    )


def evaluation(
    clips: list[JudgedClip], scores: list[Score], target: Target = "final"
) -> Evaluation:
    data = SimpleNamespace(judged_mean=14.0)
    card = SimpleNamespace(data=data, stage_of_fragment=["start", None] * 3)
    scorer: Any = SimpleNamespace(
        spec=VAULT, checkpoint=SimpleNamespace(card=card), outputs=OUTPUTS[target]
    )
    thumbnails = RNG.random((len(clips), 192), np.float32)
    times = [at_spec_rate(100)] * len(clips)
    return Evaluation(
        scorer=scorer,
        clips=clips,
        times=times,
        scores=scores,
        outputs=np.array([[score.score] for score in scores], np.float32),
        pooled=np.zeros((len(clips), 4), np.float32),
        thumbnails=thumbnails,
    )


def honest(clip: JudgedClip) -> NDArray[np.float64]:
    """Contributions that take from every stage's fragments what its faults cost."""
    shares = all_shares(VAULT, [clip], [at_spec_rate(100)])[0]  # (K, S)
    cost = np.array([clip.deductions[stage] for stage in VAULT.stages])
    contributions: NDArray[np.float64] = -(shares / shares.sum(axis=0)) @ cost
    return contributions


def random_clips(n: int) -> list[JudgedClip]:
    stages = ("support", "after-flight", "landing")
    return [judged_clip(dict(zip(stages, RNG.random(3), strict=True))) for _ in range(n)]


def test_honest_contributions_agree_and_shuffled_ones_do_not() -> None:
    clips = random_clips(60)
    scores = [scored(honest(clip)) for clip in clips]
    assert stage_figures(evaluation(clips, scores))["stage_agreement"] == pytest.approx(1.0)
    shuffled = stage_figures(evaluation(clips, scores[::-1]))
    assert abs(shuffled["stage_agreement"]) < 0.3


def test_nothing_is_said_of_stages_that_are_not_known() -> None:
    clip = judged_clip({})
    unknown = dataclasses.replace(clip, deductions={})
    assert stage_figures(evaluation([unknown], [scored(np.zeros(6))])) == {}


def test_pairs_of_honest_and_of_blind_contributions() -> None:
    clips, truth, blind = [], [], []
    for pair in range(30):
        stage = ("support", "landing")[pair % 2]
        cost = 0.1 + 0.02 * pair
        for role, lost in (("clean", 0.0), ("faulty", cost)):
            clip = judged_clip(
                {stage: lost}, pair=str(pair), role=role, fault=f"bad_{stage}", stage=stage
            )
            clips.append(dataclasses.replace(clip, difficulty=5.0))
            truth.append(scored(honest(clip)))
            blind.append(scored(np.eye(6)[0] * (0.1 if role == "faulty" else 0.0)))
    figures = pair_figures(evaluation(clips, truth))
    assert figures["pairs"] == 30
    assert figures["pairs_localised"] == 1.0
    assert figures["pairs_agreement"] == pytest.approx(1.0)
    assert figures["pairs_gain"] == pytest.approx(1.0)
    assert {*figures["pairs_by_kind"]} == {"bad_landing", "bad_support"}
    figures = pair_figures(evaluation(clips, blind))
    assert figures["pairs_localised"] == 0.0  # it points at the run-up
    assert figures["pairs_ordered"] == 0.0  # and likes what it sees


def test_coverage_and_widths_are_counted() -> None:
    clips = [judged_clip({"landing": loss}) for loss in (0.0, 1.0, 2.0, 3.0)]  # 15, 14, 13, 12
    trusts = [
        Trust(
            interval=Interval(low=13.5, high=15.5, coverage=0.9), width_limit=100, distance=distance
        )
        for distance in (2.0, 0.9, 0.5, 0.0)
    ]
    scores = [scored(np.zeros(6), trust) for trust in trusts]
    figures = confidence_figures(evaluation(clips, scores))
    assert figures["coverage"] == 0.5
    assert figures["width"] == 2.0
    assert figures["own_flagged"] == 0.25
    # |judged − 14| is 1, 0, 1, 2; its 0.9 quantile 1.7; the mean's interval 3.4 wide
    assert figures["width_share"] == pytest.approx(2 / 3.4)


def test_the_probability_of_an_order_is_held_against_the_orders_there_were() -> None:
    trust = Trust(interval=Interval(low=14, high=16, coverage=0.9), width_limit=100, distance=1.0)
    clips = [judged_clip({"landing": loss}) for loss in (0.0, 1.0, 2.0, 2.0)]  # 15, 14, 13, 13
    scores = [
        dataclasses.replace(scored(np.zeros(6), trust), score=score)
        for score in (15.0, 12.0, 14.0, 12.5)
    ]
    figures = order_figures(evaluation(clips, scores))["order"]
    sigma = 1 / 1.6448536 * math.sqrt(2)
    # Five pairs: the last two clips are tied. The second and each of these two are out of order.
    differences = (3.0, 1.0, 2.5, 2.0, 0.5)
    predicted = [0.5 * math.erfc(-d / sigma / math.sqrt(2)) for d in differences]
    assert figures["said"] == pytest.approx(np.mean(predicted))
    assert figures["right"] == pytest.approx(3 / 5)
    assert figures["sure_share"] == pytest.approx(3 / 5)  # 3, 2.5 and 2 points apart
    assert figures["right_where_sure"] == pytest.approx(2 / 3)
    assert order_figures(evaluation(clips, [scored(np.zeros(6))] * 4)) == {}


def test_shortcuts_find_a_score_that_is_in_the_colours() -> None:
    clips = random_clips(60)
    plain = evaluation(clips, [scored(honest(clip)) for clip in clips])
    assert abs(shortcut_figures(plain)["shortcuts"]["thumbnails"]) < 0.5
    plain.thumbnails[:, 0] = 100 * plain.judged
    assert shortcut_figures(plain)["shortcuts"]["thumbnails"] > 0.95


def test_declared_difficulties_are_measured_where_the_execution_is_predicted() -> None:
    clips = random_clips(60)
    declared = [
        dataclasses.replace(clip, difficulty=float(d), score=clip.score + float(d))
        for clip, d in zip(clips, RNG.uniform(2, 6, 60), strict=True)
    ]
    trust = Trust(interval=Interval(low=13.5, high=15.5, coverage=0.9), width_limit=1, distance=1.0)
    # What the video shows is the execution; the final score is that and the mean difficulty.
    blind = []
    for predicted in (scored(honest(clip)) for clip in clips):
        sure = Interval(low=predicted.score - 0.1, high=predicted.score + 0.1, coverage=0.9)
        execution = dataclasses.replace(
            predicted, output="execution", trust=Trust(interval=sure, width_limit=100, distance=1.0)
        )
        blind.append(
            dataclasses.replace(
                predicted, score=predicted.score + 4, trust=trust, of_execution=execution
            )
        )
    assert difficulty_figures(evaluation(clips, blind, "both")) == {}  # none is declared
    assert difficulty_figures(evaluation(declared, blind)) == {}  # none is asked for
    of_video = evaluation(declared, blind, "both")
    found = difficulty_figures(of_video)["with_difficulty"]
    assert found["spearman"] == pytest.approx(1.0)
    assert found["distance_share"] == pytest.approx(0.0, abs=1e-9)
    assert found["coverage"] == 1.0
    assert found["width"] == pytest.approx(0.2)
    assert found["stage_agreement"] == pytest.approx(1.0)
    assert spearman(of_video.predicted, of_video.judged) < 0.9
    assert confidence_figures(of_video)["width"] == 2.0
    assert {score.scored_by for score in of_video.scores} == {"video"}
    assert of_video.with_difficulty is not None
    assert {score.scored_by for score in of_video.with_difficulty.scores} == {
        "video and difficulty"
    }


def test_what_single_fragments_say() -> None:
    clips = random_clips(60)
    figures = fragment_figures(evaluation(clips, [scored(honest(clip)) for clip in clips]))
    found = figures["by_fragment"]
    assert found["stage"] == ["start", None] * 3
    landing = [clip.deductions["landing"] for clip in clips]
    quantiles = -np.quantile(np.array(landing) / 2, [0.95, 0.75, 0.5, 0.25, 0.05])
    np.testing.assert_allclose(found["contribution_quantiles"][5], quantiles, atol=1e-4)
    alone = found["alone_spearman"]
    assert (
        alone[4]
        == alone[5]
        == pytest.approx(spearman([-cost for cost in landing], [clip.score for clip in clips]))
    )
    assert figures["scores"]["judged"] == [round(clip.score, 3) for clip in clips]
