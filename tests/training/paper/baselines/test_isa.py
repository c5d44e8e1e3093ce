"""Independent subspace analysis: by hand, and on samples whose subspaces are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.errors import DataError
from training.paper.baselines.isa import (
    EPSILON,
    Floats,
    Subspaces,
    descend,
    orthonormal,
    whiten,
)


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_responses_by_hand() -> None:
    """Two groups of two filters: (0, 2) and (1, 3)."""
    weights = np.array(
        [[1, 0, 0, 0], [0, 0.6, 0.8, 0], [0, -0.8, 0.6, 0], [0, 0, 0, 1]], np.float32
    )
    learned = Subspaces(np.zeros(4, np.float32), np.eye(4, dtype=np.float32), weights, groups=2)
    white = np.array([[3.0, 5.0, 0.0, 1.0]], np.float32)  # outputs 3, 3, -4, 1
    np.testing.assert_allclose(learned.responses(white), [[5.0, np.sqrt(10)]], rtol=1e-6)


def test_a_group_of_one_responds_by_its_magnitude() -> None:
    identity = np.eye(3, dtype=np.float32)
    learned = Subspaces(np.zeros(3, np.float32), identity, identity, groups=3)
    np.testing.assert_allclose(
        learned.responses(np.array([[-2.0, 0.0, 7.0]], np.float32)), [[2.0, 0.0, 7.0]]
    )


def test_whitened_samples_have_unit_covariance() -> None:
    mixed = normal(4000, 6) @ normal(6, 6, seed=1) + np.array([9, 0, 0, 0, 0, 5], np.float32)
    learned = Subspaces.learn(mixed, components=5, group=1, steps=0, seed=0)
    white = learned.whitened(mixed)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(5), atol=1e-2)
    brighter = mixed + np.arange(4000, dtype=np.float32)[:, None] % 7
    np.testing.assert_allclose(learned.whitened(brighter), white, atol=1e-3)


def test_the_directions_of_most_variance_are_kept() -> None:
    samples = normal(5000, 4) * np.array([1, 30, 5, 1], np.float32)
    _, whitening = whiten(samples, 1)
    levelled = samples - samples.mean(axis=1, keepdims=True)
    _, _, basis = np.linalg.svd(levelled - levelled.mean(axis=0), full_matrices=False)
    assert abs(whitening[0] @ basis[0]) == pytest.approx(np.linalg.norm(whitening[0]), rel=1e-3)


def test_samples_in_too_few_directions_are_refused() -> None:
    flat = normal(500, 3) @ normal(3, 10, seed=1)
    with pytest.raises(DataError, match="500 patches differ in 3 directions, need 5"):
        whiten(flat, 5)
    with pytest.raises(DataError, match="4 patches differ in"):
        whiten(normal(4, 10), 8)
    with pytest.raises(DataError, match="patches have 10 values, need at least 11"):
        whiten(normal(50, 10), 11)
    with pytest.raises(DataError, match="differ in 0 directions"):
        whiten(np.full((50, 10), 7, np.float32), 2)


def test_orthonormal_by_the_inverse_root() -> None:
    weights = normal(7, 7).astype(np.float64)
    values, vectors = np.linalg.eigh(weights @ weights.T)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(orthonormal(weights), root @ weights, atol=1e-5)


def objective(white: Floats, weights: Floats, groups: int) -> float:
    """J, written out."""
    total = 0.0
    for sample in white.astype(np.float64):
        outputs = weights.astype(np.float64) @ sample
        for group in range(groups):
            total += np.sqrt(EPSILON + (outputs[group::groups] ** 2).sum())
    return total / len(white)


@pytest.mark.parametrize("group", [1, 2, 3])
def test_the_objective_falls_at_every_step(group: int) -> None:
    white = normal(400, 6) ** 3
    first = orthonormal(normal(6, 6, seed=2))
    weights, values = descend(white, first, 6 // group, steps=30)
    assert values[0] == pytest.approx(objective(white, first, 6 // group), rel=1e-5)
    assert values[-1] == pytest.approx(objective(white, weights, 6 // group), rel=1e-5)
    assert len(values) > 5
    assert (np.diff(values) < 0).all()
    np.testing.assert_allclose(weights @ weights.T, np.eye(6), atol=1e-5)


def of_planes(samples: int, seed: int) -> NDArray[np.float64]:
    """(N, 4): two planes, in each a direction at random, and seldom far from 0."""
    random = np.random.default_rng(seed)
    radius = random.exponential(size=(samples, 2)) ** 2
    angle = random.uniform(0, 2 * np.pi, (samples, 2))
    return np.hstack([radius * np.cos(angle), radius * np.sin(angle)])


def test_mixed_planes_are_found() -> None:
    """There are minima that find neither plane, so a start is taken that leads to the least."""
    mixing = normal(4, 4, seed=4)
    mixing = np.hstack([mixing, -mixing.sum(axis=1, keepdims=True)])  # samples sum to 0
    samples = (of_planes(6000, seed=3) @ mixing).astype(np.float32)
    found = []
    for seed in range(4):
        learned = Subspaces.learn(samples, components=4, group=2, steps=300, seed=seed)
        white = learned.whitened(samples)
        of_hidden = learned.weights @ learned.whitening @ mixing.T  # (filters, hidden values)
        energy = np.square(of_hidden).reshape(2, 2, 2, 2).sum(axis=(0, 2))  # of group and plane
        found.append((objective(white[:500], learned.weights, 2), energy))
    energy = min(found, key=lambda each: each[0])[1]
    assert sorted(energy.argmax(axis=1)) == [0, 1]
    assert (energy.max(axis=1) > 0.99 * energy.sum(axis=1)).all()
