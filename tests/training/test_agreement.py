import dataclasses

import numpy as np
import pytest

from model_store.spec import DIVING
from training.agreement import pair_measures, stage_agreement, stage_shares

STARTS = [0, 30, 40, 90, 100]


def frame_by_frame(spec, frames):
    """The same shares, counted with plain loops over the fragments' frames."""
    names = [max(s for s, start in enumerate(STARTS) if f >= start) for f in range(frames)]
    names = names[-spec.frames :]
    blank = [None] * (spec.frames - len(names))
    names = blank + names if spec.pad == "start" else names + blank
    shares = np.zeros((spec.fragments, 5))
    for k in range(spec.fragments):
        for frame in range(spec.start + 16 * k, spec.start + 16 * k + 16):
            if names[frame] is not None:
                shares[k, names[frame]] += 1 / 16
    return shares


@pytest.mark.parametrize("pad", ["start", "end"])
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("frames", [110, 151, 180])
def test_shares_count_every_frame_once(pad, start, frames):
    spec = dataclasses.replace(DIVING, pad=pad, start=start)
    np.testing.assert_allclose(stage_shares(spec, STARTS, frames), frame_by_frame(spec, frames))


def test_stage_agreement_of_perfect_and_of_inverted_contributions():
    rng = np.random.default_rng(0)
    deductions = rng.uniform(size=(50, 3))
    deductions[:, 1] = 0
    shares = np.tile(np.eye(3), (50, 1, 1))
    assert stage_agreement(deductions, -2 * deductions, shares) == pytest.approx({0: 1, 2: 1})
    assert stage_agreement(deductions, deductions, shares) == pytest.approx({0: -1, 2: -1})


def test_pairs_by_hand():
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
