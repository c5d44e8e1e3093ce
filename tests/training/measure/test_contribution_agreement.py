import numpy as np
import pytest

from training.measure.contribution_agreement import pair_measures, stage_agreement


def test_stage_agreement_of_perfect_and_of_inverted_contributions() -> None:
    rng = np.random.default_rng(0)
    deductions = rng.uniform(size=(50, 3))
    deductions[:, 1] = 0
    shares = np.tile(np.eye(3), (50, 1, 1))
    assert stage_agreement(deductions, -2 * deductions, shares) == pytest.approx({0: 1, 2: 1})
    assert stage_agreement(deductions, deductions, shares) == pytest.approx({0: -1, 2: -1})


def test_pairs_by_hand() -> None:
    shares = np.tile(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), (4, 1, 1))
    clean = np.zeros((4, 3))
    faulty = np.array([[0, -1, -2], [-3, 0, 0], [0, 0, -4.0], [0, 1, 0]])
    measures = pair_measures(
        clean=clean,
        faulty=faulty,
        clean_score=np.full(4, 80.0),
        faulty_score=80 + faulty.sum(axis=1),
        shares=shares,
        stage=np.array([1, 1, 1, 1]),
        kind=["a", "a", "b", "c"],
        cost=np.array([2.5, 1.0, 4.0, 0.5]),
    )
    # Lost in stage 1: 3, 0, 4, −1; ranks of cost and loss agree. The second is not localised.
    assert measures["pairs_localised"] == 0.75
    assert measures["pairs_agreement"] == pytest.approx(1.0)
    assert measures["pairs_ordered_by_kind"] == {"a": 1.0, "b": 1.0, "c": 0.0}
    assert measures["pairs_ordered"] == pytest.approx(2 / 3)
    assert measures["pairs_ordered_worst"] == 0.0
