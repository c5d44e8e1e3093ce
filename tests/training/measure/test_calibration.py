import json

import numpy as np
import pytest

from model_store.confidence import Confidence, conformal_quantile
from model_store.errors import CheckpointIncompatible
from model_store.network_spec import Output
from training.learn.cross_validation import HeldOut, figures
from training.measure.calibration import (
    OutOfFold,
    Scored,
    fit_confidence,
    fit_out_of_fold,
    whitening_of,
)

OUTPUTS: tuple[Output, ...] = ("final", "execution")


def population(n: int, seed: int) -> Scored:
    """Residuals whose size depends on the first feature, between 1 and 9 points.

    An execution, which every third clip lacks, is a tenth of it all.
    """
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(n, 6)).astype(np.float32) @ np.diag([3, 1, 1, 0.5, 0.5, 0.1])
    scores = 70 + 10 * rng.normal(size=n)
    size = np.exp(1.1 + 0.35 * pooled[:, 0])
    judged = scores + size * rng.normal(size=n)
    execution = judged / 10
    execution[::3] = np.nan
    predicted, truth = (
        np.stack([scores, scores / 10], axis=1),
        np.stack([judged, execution], axis=1),
    )
    return Scored(*(each.astype(np.float32) for each in (pooled, predicted, truth)))


@pytest.fixture(scope="module")
def fitted() -> Confidence:
    training = population(2000, 0).pooled
    return fit_confidence(training, population(1000, 1), population(1000, 2), outputs=OUTPUTS)


def covered(
    confidence: Confidence, clips: Scored, output: Output = "final"
) -> tuple[np.ndarray, np.ndarray]:
    column = OUTPUTS.index(output)
    intervals = [
        confidence.interval(pooled, output, float(score))
        for pooled, score in zip(clips.pooled, clips.scores[:, column], strict=True)
    ]
    judged = clips.judged[:, column]
    inside = np.array([i.low <= g <= i.high for i, g in zip(intervals, judged, strict=True)])
    return inside, np.array([i.high - i.low for i in intervals])


def test_intervals_cover_the_promised_share(fitted: Confidence) -> None:
    inside, _ = covered(fitted, population(4000, 3))
    assert inside.mean() == pytest.approx(0.9, abs=0.025)  # 1,000 calibration clips: sd 0.0095


def test_each_output_has_intervals_in_its_own_points(fitted: Confidence) -> None:
    clips = population(4000, 3)
    known = ~np.isnan(clips.judged[:, 1])
    inside, width = covered(fitted, clips, "execution")
    assert inside[known].mean() == pytest.approx(0.9, abs=0.03)
    _, width_of_final = covered(fitted, clips)
    assert np.median(width) == pytest.approx(np.median(width_of_final) / 10, rel=0.1)
    limits = {name: of.width_limit for name, of in fitted.outputs.items()}
    assert limits["execution"] == pytest.approx(limits["final"] / 10, rel=0.2)


def test_residuals_of_a_cross_validation_give_each_output_its_intervals() -> None:
    clips = population(1000, 9)
    rng = np.random.default_rng(10)
    distances = np.exp(0.35 * clips.pooled[:, 0]).astype(np.float32)
    held = OutOfFold(clips.scores, clips.judged, distances, rng.integers(5, size=1000))
    fitted, trust = fit_out_of_fold(clips.pooled, held, outputs=OUTPUTS)
    assert trust["final"]["coverage"] == pytest.approx(0.9, abs=0.03)
    assert trust["execution"]["coverage"] == pytest.approx(0.9, abs=0.03)
    assert trust["execution"]["width"] == pytest.approx(trust["final"]["width"] / 10, rel=0.1)
    factor = np.array([[1, 10]] * 1000, np.float32)  # all of difficulty 10
    _, announced = fit_out_of_fold(clips.pooled, held, outputs=OUTPUTS, factor=factor)
    assert announced["execution"]["width"] == pytest.approx(10 * trust["execution"]["width"])
    found = figures(HeldOut(held, clips.scores * factor, clips.judged[:, 0], factor), announced)
    known = found["with_difficulty"]
    assert found["clips"] == 1000
    assert found["interval_width"] == trust["final"]["width"]
    assert known["interval_width"] == announced["execution"]["width"]
    assert known["mean_distance"] == pytest.approx(found["mean_distance"])
    assert known["spearman_by_fold"] == pytest.approx(found["spearman_by_fold"])
    alone, _ = fit_out_of_fold(
        clips.pooled,
        OutOfFold(clips.scores[:, :1], clips.judged[:, :1], held.distances, held.fold),
        outputs=OUTPUTS[:1],
    )
    assert alone.outputs["final"].quantile == fitted.outputs["final"].quantile


def test_an_output_that_nobody_judged_cannot_be_fitted() -> None:
    clips = population(100, 11)
    clips.judged[:, 1] = np.nan
    with pytest.raises(ValueError, match="0 judged clips"):
        fit_confidence(clips.pooled, clips, clips, outputs=OUTPUTS)


def test_difficult_clips_get_wider_intervals_and_both_kinds_are_covered(fitted: Confidence) -> None:
    clips = population(4000, 4)
    inside, width = covered(fitted, clips)
    hard = clips.pooled[:, 0] > 0
    assert np.median(width[hard]) > 3 * np.median(width[~hard])
    assert inside[hard].mean() == pytest.approx(0.9, abs=0.05)
    assert inside[~hard].mean() == pytest.approx(0.9, abs=0.05)


def test_familiarity_is_the_mahalanobis_distance(fitted: Confidence) -> None:
    clips = population(500, 5)
    direct = [
        np.sqrt((z - fitted.mean) @ fitted.whitening.T @ fitted.whitening @ (z - fitted.mean) / 6)
        for z in clips.pooled
    ]
    np.testing.assert_allclose(fitted.distance(clips.pooled), direct, rtol=1e-4)


def test_whitened_training_features_have_unit_covariance() -> None:
    pooled = population(20000, 6).pooled
    mean, whitening = whitening_of(pooled)
    covariance = np.cov((pooled - mean) @ whitening.T, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(6), atol=0.05)


def test_strange_clips_are_unfamiliar_and_own_ones_are_not(fitted: Confidence) -> None:
    own = population(4000, 7).pooled
    assert (fitted.distance(own) > fitted.distance_limit).mean() < 0.03
    strange = own + np.array([0, 0, 0, 0, 0, 1], np.float32)  # ten deviations along the least axis
    assert (fitted.distance(strange) > fitted.distance_limit).all()


def test_it_survives_the_card_and_the_weights_file(fitted: Confidence) -> None:
    numbers = json.loads(json.dumps(fitted.numbers()))
    again = Confidence.from_parts(numbers, fitted.arrays())
    [clip] = population(1, 8).pooled
    for output in OUTPUTS:
        assert again.trust(clip, output, 70.0) == fitted.trust(clip, output, 70.0)


def test_parts_that_are_not_a_calibration_are_refused(fitted: Confidence) -> None:
    numbers, arrays = fitted.numbers(), fitted.arrays()
    of_final = numbers["final"]
    for wrong, also in (
        ({}, {}),
        ({**numbers, "score": of_final}, arrays),
        ({**numbers, "final": of_final | {"width": 1.0}}, arrays),
        ({**numbers, "final": of_final | {"coverage": 1.5}}, arrays),
        ({**numbers, "final": of_final | {"spread_range": [3.0, 2.0]}}, arrays),
        ({"distance_limit": 1.0, "final": of_final}, arrays),
        (numbers, {**arrays, "whitening": arrays["whitening"][:, :-1]}),
    ):
        with pytest.raises(CheckpointIncompatible, match="calibration"):
            Confidence.from_parts(wrong, also)


def test_the_conformal_quantile_by_hand() -> None:
    ratios = np.arange(1, 20, dtype=np.float32)  # 19 clips: rank ⌈20 · 0.9⌉ = 18
    assert conformal_quantile(ratios, 0.9) == 18
    with pytest.raises(ValueError, match="need at least 9"):
        conformal_quantile(ratios[:5], 0.9)
