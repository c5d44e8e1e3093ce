import numpy as np
import pytest

from model_store.confidence import Confidence, conformal_quantile
from training.confidence import Scored, fit_confidence, whitening_of


def population(n: int, seed: int) -> Scored:
    """Residuals whose size depends on the first feature, between 1 and 9 points."""
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(n, 6)).astype(np.float32) @ np.diag([3, 1, 1, 0.5, 0.5, 0.1])
    scores = 70 + 10 * rng.normal(size=n)
    size = np.exp(1.1 + 0.35 * pooled[:, 0])
    judged = scores + size * rng.normal(size=n)
    return Scored(pooled.astype(np.float32), scores.astype(np.float32), judged.astype(np.float32))


@pytest.fixture(scope="module")
def fitted() -> Confidence:
    return fit_confidence(population(2000, 0).pooled, population(1000, 1), population(1000, 2))


def covered(confidence: Confidence, clips: Scored) -> tuple[np.ndarray, np.ndarray]:
    intervals = [
        confidence.interval(pooled, float(score))
        for pooled, score in zip(clips.pooled, clips.scores, strict=True)
    ]
    inside = np.array([i.low <= g <= i.high for i, g in zip(intervals, clips.judged, strict=True)])
    return inside, np.array([i.high - i.low for i in intervals])


def test_intervals_cover_the_promised_share(fitted):
    inside, _ = covered(fitted, population(4000, 3))
    assert inside.mean() == pytest.approx(0.9, abs=0.025)  # 1,000 calibration clips: sd 0.0095


def test_difficult_clips_get_wider_intervals_and_both_kinds_are_covered(fitted):
    clips = population(4000, 4)
    inside, width = covered(fitted, clips)
    hard = clips.pooled[:, 0] > 0
    assert np.median(width[hard]) > 3 * np.median(width[~hard])
    assert inside[hard].mean() == pytest.approx(0.9, abs=0.05)
    assert inside[~hard].mean() == pytest.approx(0.9, abs=0.05)


def test_familiarity_is_the_mahalanobis_distance(fitted):
    clips = population(500, 5)
    direct = [
        np.sqrt((z - fitted.mean) @ fitted.whitening.T @ fitted.whitening @ (z - fitted.mean) / 6)
        for z in clips.pooled
    ]
    np.testing.assert_allclose(fitted.distance(clips.pooled), direct, rtol=1e-4)


def test_whitened_training_features_have_unit_covariance():
    pooled = population(20000, 6).pooled
    mean, whitening = whitening_of(pooled)
    covariance = np.cov((pooled - mean) @ whitening.T, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(6), atol=0.05)


def test_strange_clips_are_unfamiliar_and_own_ones_are_not(fitted):
    own = population(4000, 7).pooled
    assert (fitted.distance(own) > fitted.distance_limit).mean() < 0.03
    strange = own + np.array([0, 0, 0, 0, 0, 1], np.float32)  # ten deviations along the least axis
    assert (fitted.distance(strange) > fitted.distance_limit).all()


def test_it_survives_the_card_and_the_weights_file(fitted):
    again = Confidence.from_parts(fitted.numbers(), fitted.arrays())
    clip = population(1, 8)
    assert again.interval(clip.pooled[0], 70.0) == fitted.interval(clip.pooled[0], 70.0)


def test_the_conformal_quantile_by_hand():
    ratios = np.arange(1, 20, dtype=np.float32)  # 19 clips: rank ⌈20 · 0.9⌉ = 18
    assert conformal_quantile(ratios, 0.9) == 18
    with pytest.raises(ValueError, match="need at least 9"):
        conformal_quantile(ratios[:5], 0.9)
