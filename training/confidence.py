"""
Fits what `model_store.confidence` needs, from three sets of clips that share none.

The rule: calibration clips set the quantile, the limits and nothing else. The spread is learned
from validation residuals, since training residuals are too small; familiarity from training
features.

Shapes: N clips, P pooled features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import RidgeCV

from model_store.confidence import Confidence, conformal_quantile, spread_inputs

Floats = NDArray[np.float32]

COVERAGE = 0.9
FAMILIAR_SHARE = 0.99  # of calibration clips that count as familiar
WIDE_SHARE = 0.95  # of calibration clips whose interval is not too wide
SPREAD_FEATURES = 8  # leading whitened features that the spread may depend on


@dataclass(frozen=True, slots=True)
class Scored:
    """Clips that the network scored and judges judged."""

    pooled: Floats
    """(N, P), see `model_store.confidence.pool`."""
    scores: Floats
    """(N,) points, predicted."""
    judged: Floats
    """(N,) points."""

    @property
    def residuals(self) -> Floats:
        residuals: Floats = np.abs(self.judged - self.scores)
        return residuals


def whitening_of(pooled: Floats) -> tuple[Floats, Floats]:
    """(N, P) -> mean (P,), whitening (P, P) by falling variance, from the shrunk covariance."""
    model = LedoitWolf().fit(pooled.astype(np.float64))
    variance, axes = np.linalg.eigh(model.covariance_)
    order = variance.argsort()[::-1]
    whitening = axes[:, order].T / np.sqrt(np.maximum(variance[order], 1e-12))[:, None]
    return model.location_.astype(np.float32), whitening.astype(np.float32)


def fit_confidence(
    training: Floats, validation: Scored, calibration: Scored, *, coverage: float = COVERAGE
) -> Confidence:
    """Pooled features of the training clips (N, P), and scored clips of the other two splits.

    Raises ValueError when there are too few calibration clips for the coverage.
    """
    mean, whitening = whitening_of(training)
    blank = Confidence(
        coverage=coverage,
        quantile=1.0,
        width_limit=np.inf,
        distance_limit=np.inf,
        spread_range=(1e-6, 1e6),
        mean=mean,
        whitening=whitening,
        spread_weights=np.zeros(3 + min(SPREAD_FEATURES, len(whitening)), np.float32),
    )
    inputs = spread_inputs(blank, validation.pooled, validation.scores)
    typical = float(np.median(validation.residuals))
    target = np.log(validation.residuals + 0.1 * typical)  # a lucky hit is no proof of certainty
    scale = inputs.std(axis=0) + 1e-6
    ridge = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(inputs[:, 1:] / scale[1:], target)
    weights = np.concatenate([[ridge.intercept_], ridge.coef_ / scale[1:]]).astype(np.float32)
    fitted = {**blank.numbers(), **blank.arrays(), "spread_weights": weights}

    # Beyond what it was learned from, the logarithm of the spread is anybody's guess.
    learned = Confidence(**fitted).spread(validation.pooled, validation.scores)
    fitted["spread_range"] = tuple(map(float, np.quantile(learned, [0.01, 0.99])))
    spread = Confidence(**fitted).spread(calibration.pooled, calibration.scores)
    fitted["quantile"] = conformal_quantile(calibration.residuals / spread, coverage)
    fitted["width_limit"] = float(2 * fitted["quantile"] * np.quantile(spread, WIDE_SHARE))
    distances = blank.distance(calibration.pooled)
    fitted["distance_limit"] = float(np.quantile(distances, FAMILIAR_SHARE))
    return Confidence(**fitted)
