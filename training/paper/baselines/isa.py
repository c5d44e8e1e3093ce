"""
Independent subspace analysis: orthonormal filters of which few groups respond to a sample.   [Le11]

Samples are whitened by PCA first. Then an orthonormal matrix W is learned that minimises

    J(W) = Σ_g sqrt(ε + Σ_{j in g} (W x)_j²),    averaged over the whitened samples x

by gradient descent on all samples at once: W ← (V Vᵀ)^(-1/2) V with V = W - μ ∂J/∂W, where μ is
halved until J falls. A response is sqrt(Σ_{j in g} (W x)_j²). ε keeps the gradient finite.

Shapes: N samples, D values a sample, P whitened values, S filters a group, G = P / S groups. Group
g has the filters g, G + g, 2 G + g …

[Le11] Q. V. Le, W. Y. Zou, S. Y. Yeung, A. Y. Ng. Learning hierarchical invariant spatio-temporal
features for action recognition with independent subspace analysis. CVPR 2011.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, polar

from training.errors import DataError

Floats = NDArray[np.float32]

EPSILON = 1e-4
SMALLEST = 1e-6  # step; and variance of a whitened direction, as a share of the largest
WINDOW, FALL = 10, 1e-4  # it ends where so many steps have lowered J by no more than this share


@dataclass(frozen=True, slots=True)
class Subspaces:
    """What was learned from samples, for others like them."""

    mean: Floats
    """(D,)"""
    whitening: Floats
    """(P, D)"""
    weights: Floats
    """(P, P): W."""
    groups: int
    """G"""

    @classmethod
    def learn(
        cls, samples: Floats, *, components: int, group: int, steps: int, seed: int
    ) -> "Subspaces":
        """From (N, D), with P = `components` and S = `group`.

        Raises DataError for samples that have fewer than P directions.
        """
        mean, whitening = whiten(samples, components)
        groups = components // group
        first = np.random.default_rng(seed).normal(size=(components, components))
        start = cls(mean, whitening, orthonormal(first), groups)
        weights, _ = descend(start.whitened(samples), start.weights, groups, steps)
        return dataclasses.replace(start, weights=weights)

    def whitened(self, samples: Floats) -> Floats:
        """(N, D) -> (N, P), the directions of most variance first."""
        return np.asarray((_levelled(samples) - self.mean) @ self.whitening.T, np.float32)

    def responses(self, white: Floats) -> Floats:
        """(N, P) -> (N, G), at least 0."""
        return pooled(white @ self.weights.T, self.groups, 0.0)


def whiten(samples: Floats, components: int) -> tuple[Floats, Floats]:
    """(N, D) -> mean (D,) and whitening (P, D) of samples less each sample's own mean.

    Raises DataError.
    """
    level = _levelled(samples)
    mean: Floats = level.mean(axis=0)
    level -= mean
    size = samples.shape[1]
    if components > size:
        raise DataError(f"patches have {size} values, need at least {components}")
    covariance = level.T @ level / len(level)
    variances, directions = eigh(covariance, subset_by_index=[size - components, size - 1])
    known = int((variances > SMALLEST * variances[-1]).sum())
    if known < components:
        raise DataError(
            f"{len(samples)} patches differ in {known} directions, need {components}: sample more"
            " patches of a clip, or ask for fewer components"
        )
    whitening = (directions / np.sqrt(variances)).T[::-1]
    return mean, np.ascontiguousarray(whitening, np.float32)


def descend(white: Floats, weights: Floats, groups: int, steps: int) -> tuple[Floats, list[float]]:
    """(N, P) and the first W (P, P) -> the last W, and J at the beginning and after each step."""
    outputs = white @ weights.T  # (N, P)
    responses = pooled(outputs, groups, EPSILON)
    values = [_mean_sum(responses)]
    step = 1.0
    for _ in range(steps):
        share = outputs.reshape(len(white), -1, groups) / responses[:, None]  # (N, S, G)
        gradient = share.reshape(outputs.shape).T @ white / len(white)
        value = np.inf
        while step > SMALLEST:
            trial = orthonormal(weights - step * gradient)
            outputs = white @ trial.T
            responses = pooled(outputs, groups, EPSILON)
            value = _mean_sum(responses)
            if value < values[-1]:
                break
            step /= 2
        else:
            break  # no step lowers J: this is a minimum, as far as float32 goes
        weights, step = trial, 2 * step
        values.append(value)
        if len(values) > WINDOW and values[-1 - WINDOW] - value < FALL * value:
            break
    return weights, values


def pooled(outputs: Floats, groups: int, epsilon: float) -> Floats:
    """(N, P) -> (N, G): sqrt(ε + Σ of a group's squares)."""
    squares = np.square(outputs).reshape(len(outputs), -1, groups).sum(axis=1)
    root: Floats = np.sqrt(squares + np.float32(epsilon))
    return root


def orthonormal(weights: NDArray[np.floating]) -> Floats:
    """(P, P) -> (P, P): (W Wᵀ)^(-1/2) W, the nearest matrix with orthonormal rows."""
    nearest: Floats = polar(weights)[0].astype(np.float32)
    return nearest


def _levelled(samples: Floats) -> Floats:
    """(N, D) less each sample's own mean: brightness does not count."""
    level: Floats = samples - samples.mean(axis=1, keepdims=True)
    return level


def _mean_sum(responses: Floats) -> float:
    return float(responses.sum(dtype=np.float64)) / len(responses)
