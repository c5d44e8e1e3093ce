import numpy as np
import pytest

from training.measure.contribution_agreement import stage_agreement


def test_stage_agreement_of_perfect_and_of_inverted_contributions() -> None:
    rng = np.random.default_rng(0)
    deductions = rng.uniform(size=(50, 3))
    deductions[:, 1] = 0
    shares = np.tile(np.eye(3), (50, 1, 1))
    assert stage_agreement(deductions, -2 * deductions, shares) == pytest.approx({0: 1, 2: 1})
    assert stage_agreement(deductions, deductions, shares) == pytest.approx({0: -1, 2: -1})
