"""
Fits what `model_store.confidence` needs, from three sets of clips that share none.

The rule: calibration clips set the quantile, the limits and nothing else. The spread is learned
from validation residuals, since training residuals are too small; familiarity from training
features.

Each output of the network is fitted from the clips of which its value was judged.

Shapes: N clips, P pooled features, O outputs.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import RidgeCV

from model_store.confidence import Confidence, Uncertainty, conformal_quantile
from model_store.network_spec import Output

Floats = NDArray[np.float32]

COVERAGE = 0.9
FAMILIAR_SHARE = 0.99  # of calibration clips that count as familiar
WIDE_SHARE = 0.95  # of calibration clips whose interval is not too wide
FEWEST_FOR_SPREAD = 2  # clips
SPREAD_FEATURES = 8  # leading whitened features that the spread may depend on


@dataclass(frozen=True, slots=True)
class Scored:
    """Clips that the network scored and judges judged."""

    pooled: Floats
    """(N, P), see `model_store.confidence.pool`."""
    scores: Floats
    """(N, O) points, predicted."""
    judged: Floats
    """(N, O) points; NaN where an output's value was not judged."""

    def part(self, chosen: NDArray[np.int64]) -> "Scored":
        return Scored(self.pooled[chosen], self.scores[chosen], self.judged[chosen])

    def of(self, output: int) -> tuple[Floats, Floats, Floats]:
        """Pooled features (n, P), what was predicted (n,) and how far off it was (n,)."""
        known = ~np.isnan(self.judged[:, output])
        scores = self.scores[known, output]
        return self.pooled[known], scores, np.abs(self.judged[known, output] - scores)


def whitening_of(pooled: Floats) -> tuple[Floats, Floats]:
    """(N, P) -> mean (P,), whitening (P, P) by falling variance, from the shrunk covariance."""
    model = LedoitWolf().fit(pooled.astype(np.float64))
    variance, axes = np.linalg.eigh(model.covariance_)
    order = variance.argsort()[::-1]
    whitening = axes[:, order].T / np.sqrt(np.maximum(variance[order], 1e-12))[:, None]
    return model.location_.astype(np.float32), whitening.astype(np.float32)


def fit_spread(inputs: Floats, residuals: Floats) -> Floats:
    """Weights of the log spread for its inputs (N, J), of which the first is constant."""
    if len(residuals) < FEWEST_FOR_SPREAD:
        raise ValueError(f"{len(residuals)} judged clips, need at least {FEWEST_FOR_SPREAD}")
    typical = float(np.median(residuals))
    target = np.log(residuals + 0.1 * typical)  # a lucky hit is no proof of certainty
    scale = inputs.std(axis=0) + 1e-6
    ridge = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(inputs[:, 1:] / scale[1:], target)
    weights = np.concatenate([[ridge.intercept_], ridge.coef_ / scale[1:]])
    return weights.astype(np.float32)


def uncalibrated(inputs: Floats, residuals: Floats, coverage: float) -> Uncertainty:
    """The spread learned from (n, J) inputs and (n,) residuals; the quantile is not known yet."""
    weights = fit_spread(inputs, residuals)
    return Uncertainty(
        coverage=coverage,
        quantile=1.0,
        width_limit=np.inf,
        spread_range=learned_range(inputs @ weights),
        spread_weights=weights,
    )


def fit_confidence(
    training: Floats,
    validation: Scored,
    calibration: Scored,
    *,
    outputs: Sequence[Output],
    coverage: float = COVERAGE,
) -> Confidence:
    """Pooled features of the training clips (N, P), and scored clips of the other two splits.

    `outputs` are the network's, in order. Raises ValueError when there are too few calibration
    clips for the coverage.
    """
    mean, whitening = whitening_of(training)
    familiar = Confidence(distance_limit=np.inf, mean=mean, whitening=whitening, outputs={})
    whitened = min(SPREAD_FEATURES, len(whitening))

    def fit(output: int) -> Uncertainty:
        pooled, scores, residuals = validation.of(output)
        inputs = familiar.spread_inputs(pooled, scores, whitened)
        fitted = uncalibrated(inputs, residuals, coverage)
        pooled, scores, residuals = calibration.of(output)
        spread = fitted.spread(familiar.spread_inputs(pooled, scores, whitened))
        return at_quantile(fitted, conformal_quantile(residuals / spread, coverage), spread)

    return dataclasses.replace(
        familiar,
        distance_limit=float(np.quantile(familiar.distance(calibration.pooled), FAMILIAR_SHARE)),
        outputs={name: fit(index) for index, name in enumerate(outputs)},
    )


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What the runs of a cross-validation made of the clips that each of them had not seen."""

    scores: Floats
    """(N, O) points, predicted."""
    judged: Floats
    """(N, O) points; NaN where an output's value was not judged."""
    distances: Floats
    """(N,) from the features of the clips that the run had seen, see `Confidence.distance`."""
    fold: NDArray[np.int64]
    """(N,): which run it was."""


def fit_out_of_fold(
    pooled: Floats,
    held: OutOfFold,
    *,
    outputs: Sequence[Output],
    factor: Floats | None = None,
    coverage: float = COVERAGE,
) -> tuple[Confidence, dict[Output, dict[str, float]]]:
    """Intervals without clips of their own, from residuals of cross-validation; their figures.

    `pooled` (N, P) are features of all clips by the network that was trained on all of them,
    `outputs` its outputs, in order. The interval is the network's score ± the quantile of the
    out-of-fold residuals: K-fold CV of [Barber21 §1.3]. Departure: their CV+ asks the K networks
    of the folds about every new clip and guarantees 1 − 2(1 − coverage); here one network answers,
    which had more clips to learn from than those whose residuals these are. The spread of each
    clip, and the coverage and width in the figures, are by what was fitted without the clip's
    fold; the width is multiplied by `factor` (N, O), to be in points as announced. Raises
    ValueError for too few clips.

    [Barber21] R. Barber et al. Predictive Inference with the Jackknife+. Annals of Statistics 2021.
    """
    mean, whitening = whitening_of(pooled)
    scale = np.ones_like(held.scores) if factor is None else factor
    fits = {
        name: _fit_output(held, index, scale[:, index], coverage)
        for index, name in enumerate(outputs)
    }
    fitted = Confidence(
        distance_limit=float(np.quantile(held.distances, FAMILIAR_SHARE)),
        mean=mean,
        whitening=whitening,
        outputs={name: uncertainty for name, (uncertainty, _) in fits.items()},
    )
    return fitted, {name: figures for name, (_, figures) in fits.items()}


def _fit_output(
    held: OutOfFold, output: int, factor: Floats, coverage: float
) -> tuple[Uncertainty, dict[str, float]]:
    known = ~np.isnan(held.judged[:, output])
    scores, fold = held.scores[known, output], held.fold[known]
    residuals = np.abs(held.judged[known, output] - scores)
    # Of the spread's inputs those that mean the same in every fold: (n, 3).
    inputs = np.stack([np.ones_like(scores), scores, held.distances[known]], axis=1)
    inputs = inputs.astype(np.float32)
    spread = np.empty(len(scores), np.float32)
    for out in (fold == each for each in np.unique(fold)):
        weights = fit_spread(inputs[~out], residuals[~out])
        low, high = learned_range(inputs[~out] @ weights)
        spread[out] = np.clip(np.exp(inputs[out] @ weights), low, high)
    ratios = residuals / spread
    covered, widths = np.empty(len(ratios), np.bool_), np.empty(len(ratios))
    for out in (fold == each for each in np.unique(fold)):
        quantile = conformal_quantile(ratios[~out], coverage)
        covered[out], widths[out] = ratios[out] <= quantile, 2 * quantile * spread[out]
    widths *= factor[known]

    fitted = uncalibrated(inputs, residuals, coverage)
    fitted = at_quantile(fitted, conformal_quantile(ratios, coverage), spread)
    return fitted, {"coverage": float(covered.mean()), "width": float(widths.mean())}


def at_quantile(fitted: Uncertainty, quantile: float, spread: Floats) -> Uncertainty:
    """With this quantile, and the width limit that follows from the clips' spread (N,)."""
    limit = float(2 * quantile * np.quantile(spread, WIDE_SHARE))
    return dataclasses.replace(fitted, quantile=quantile, width_limit=limit)


def learned_range(log_spread: Floats) -> tuple[float, float]:
    """Of the spread: it is not extrapolated beyond what it was learned from."""
    low, high = np.exp(np.quantile(log_spread, [0.01, 0.99]))
    return float(low), float(high)


def distances(seen: Floats, others: Floats) -> Floats:
    """`Confidence.distance` of (M, P) others from (N, P) seen: (M,)."""
    mean, whitening = whitening_of(seen)
    known = Confidence(distance_limit=np.inf, mean=mean, whitening=whitening, outputs={})
    return known.distance(others)
