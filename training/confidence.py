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


def fit_spread(inputs: Floats, residuals: Floats) -> Floats:
    """Weights of the log spread for `spread_inputs` (N, J), of which the first is constant."""
    typical = float(np.median(residuals))
    target = np.log(residuals + 0.1 * typical)  # a lucky hit is no proof of certainty
    scale = inputs.std(axis=0) + 1e-6
    ridge = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(inputs[:, 1:] / scale[1:], target)
    weights = np.concatenate([[ridge.intercept_], ridge.coef_ / scale[1:]])
    return weights.astype(np.float32)


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
    weights = fit_spread(inputs, validation.residuals)
    fitted = {**blank.numbers(), **blank.arrays(), "spread_weights": weights}

    fitted["spread_range"] = tuple(map(float, np.exp(learned_range(inputs @ weights))))
    spread = Confidence(**fitted).spread(calibration.pooled, calibration.scores)
    fitted["quantile"] = conformal_quantile(calibration.residuals / spread, coverage)
    fitted["width_limit"] = float(2 * fitted["quantile"] * np.quantile(spread, WIDE_SHARE))
    distances = blank.distance(calibration.pooled)
    fitted["distance_limit"] = float(np.quantile(distances, FAMILIAR_SHARE))
    return Confidence(**fitted)


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What the runs of a cross-validation made of the clips that each of them had not seen."""

    scores: Floats
    """(N,) points, predicted."""
    judged: Floats
    """(N,) points."""
    distances: Floats
    """(N,) from the features of the clips that the run had seen, see `Confidence.distance`."""
    fold: NDArray[np.int64]
    """(N,): which run it was."""

    @property
    def residuals(self) -> Floats:
        residuals: Floats = np.abs(self.judged - self.scores)
        return residuals

    @property
    def inputs(self) -> Floats:
        """(N, 3) of the spread: those of `spread_inputs` that mean the same in every fold."""
        columns = [np.ones_like(self.scores), self.scores, self.distances]
        return np.stack(columns, axis=1).astype(np.float32)


def fit_out_of_fold(
    pooled: Floats, held: OutOfFold, *, coverage: float = COVERAGE
) -> tuple[Confidence, dict[str, float]]:
    """Intervals without clips of their own, from residuals of cross-validation; their figures.

    `pooled` (N, P) are features of all clips by the network that was trained on all of them. The
    interval is the network's score ± the quantile of the out-of-fold residuals: K-fold CV of
    [Barber21 §1.3]. Departure: their CV+ asks the K networks of the folds about every new clip and
    guarantees 1 − 2(1 − coverage); here one network answers, which had more clips to learn from
    than those whose residuals these are. The spread of each clip, and the coverage and width in
    the figures, are by what was fitted without the clip's fold. Raises ValueError for too few
    clips.

    [Barber21] R. Barber et al. Predictive Inference with the Jackknife+. Annals of Statistics 2021.
    """
    folds = np.unique(held.fold)
    spread = np.empty(len(held.scores), np.float32)
    for fold in folds:
        out = held.fold == fold
        weights = fit_spread(held.inputs[~out], held.residuals[~out])
        low, high = learned_range(held.inputs[~out] @ weights)
        spread[out] = np.exp(np.clip(held.inputs[out] @ weights, low, high))
    ratios = held.residuals / spread
    covered, widths = np.empty(len(ratios), np.bool_), np.empty(len(ratios))
    for fold in folds:
        out = held.fold == fold
        quantile = conformal_quantile(ratios[~out], coverage)
        covered[out], widths[out] = ratios[out] <= quantile, 2 * quantile * spread[out]

    weights = fit_spread(held.inputs, held.residuals)
    low, high = learned_range(held.inputs @ weights)
    mean, whitening = whitening_of(pooled)
    quantile = conformal_quantile(ratios, coverage)
    fitted = Confidence(
        coverage=coverage,
        quantile=quantile,
        width_limit=float(2 * quantile * np.quantile(spread, WIDE_SHARE)),
        distance_limit=float(np.quantile(held.distances, FAMILIAR_SHARE)),
        spread_range=(float(np.exp(low)), float(np.exp(high))),
        mean=mean,
        whitening=whitening,
        spread_weights=weights,
    )
    return fitted, {"coverage": float(covered.mean()), "width": float(widths.mean())}


def learned_range(log_spread: Floats) -> tuple[float, float]:
    """Beyond what it was learned from, the logarithm of a spread is anybody's guess."""
    low, high = np.quantile(log_spread, [0.01, 0.99])
    return float(low), float(high)


def distances(seen: Floats, others: Floats) -> Floats:
    """`Confidence.distance` of (M, P) others from (N, P) seen: (M,)."""
    mean, whitening = whitening_of(seen)
    whitened = (others - mean) @ whitening.T
    result: Floats = np.sqrt((whitened**2).mean(axis=1))
    return result
