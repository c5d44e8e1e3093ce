"""Of pairs that are few enough to work out by hand, and of many whose truth is known."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from training.measure.pair_measures import Pairs, pair_measures

SHARES = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])  # three fragments, two stages
BY_HAND = Pairs(
    ladder=np.array([0, 0, 1, 2]),
    kind=np.array(["a", "a", "b", "a"]),
    stage=np.array([1, 1, 1, 0]),
    cost=np.array([2.5, 1.0, 4.0, 0.5]),
    unit=np.array([1.0, 1.0, 2.0, 2.0]),
    change=np.array([[0, -1, -2], [-3, 0, 0], [0, 0, -4.0], [0, 1, 0]]),
    shares=np.tile(SHARES, (4, 1, 1)),
    lower=np.array([True, True, True, False]),
)


def test_pairs_by_hand() -> None:
    np.testing.assert_array_equal(BY_HAND.lost, [3, 0, 4, -1])
    np.testing.assert_array_equal(BY_HAND.localised, [True, False, True, True])
    measured = pair_measures(BY_HAND)
    assert measured["pairs"] == 4
    assert measured["pairs_localised"] == 0.75
    assert measured["pairs_agreement"] == pytest.approx(1.0)  # ranks of cost and loss agree
    a, b = measured["pairs_by_kind"]["a"], measured["pairs_by_kind"]["b"]
    assert a["ordered"] == pytest.approx(2 / 3)
    assert a["gain"] == pytest.approx((2.5 * 3 - 0.5 * 1) / (2.5**2 + 1 + 0.5**2))
    assert b == {"pairs": 1, "ordered": 1.0, "gain": 1.0, "agreement": None}
    assert measured["pairs_ordered"] == pytest.approx((2 / 3 + 1) / 2)
    assert measured["pairs_ordered_worst"] == pytest.approx(2 / 3)
    assert measured["pairs_gain_largest"] == 1.0
    assert measured["pairs_gain_least"] == a["gain"]


def test_a_guess_knows_the_kind_and_the_routine_but_not_the_ladder() -> None:
    """Of kind a the other ladders' costs a unit: 0.25 for the first, (2.5 + 1) / 2 for the last."""
    np.testing.assert_allclose(BY_HAND.guess[[0, 1, 3]], [0.25, 0.25, 2 * 1.75])
    np.testing.assert_allclose(BY_HAND.guess[2], 2 * np.mean([2.5, 1, 2, 0.25]))  # no other b


def many(gain: float, noise: float, ladders: int = 120) -> Pairs:
    """Ladders of three; what is lost is `gain` times the cost, and noise of each ladder."""
    random = np.random.default_rng(0)
    ladder = np.repeat(np.arange(ladders), 3)
    cost = random.uniform(0.1, 1, 3 * ladders)
    lost = gain * cost + noise * random.standard_normal(ladders)[ladder]
    return Pairs(
        ladder=ladder,
        kind=np.array(["a", "b"])[ladder % 2],
        stage=np.zeros(3 * ladders, np.int64),
        cost=cost,
        unit=np.ones(3 * ladders),
        change=np.stack([-lost, np.zeros_like(lost), np.zeros_like(lost)], axis=1),
        shares=np.tile(SHARES, (3 * ladders, 1, 1)),
        lower=lost > 0,
    )


def test_gain_and_agreement_are_found_again() -> None:
    exact = pair_measures(many(0.6, 0.0))
    assert exact["pairs_gain"] == pytest.approx(0.6)
    assert exact["pairs_agreement"] == pytest.approx(1.0)
    assert exact["pairs_agreement_by_kind_alone"] < 0.1  # no kind costs more here
    noisy = many(1.0, 0.3)
    measured = pair_measures(noisy)
    assert measured["pairs_agreement"] == pytest.approx(spearmanr(noisy.cost, noisy.lost).statistic)
    low, high = measured["pairs_agreement_interval"]
    assert low < measured["pairs_agreement"] < high


def test_pairs_of_a_ladder_are_not_independent() -> None:
    """Three times the same pair says no more than one: taken apart it would seem to."""
    pairs = many(1.0, 0.3)
    first = np.repeat(np.arange(0, len(pairs.cost), 3), 3)
    pairs = dataclasses.replace(pairs, cost=pairs.cost[first], change=pairs.change[first])
    apart = dataclasses.replace(pairs, ladder=np.arange(len(pairs.cost)))
    together, alone = (pair_measures(each)["pairs_agreement_interval"] for each in (pairs, apart))
    width = together[1] - together[0]
    assert width == pytest.approx(np.sqrt(3) * (alone[1] - alone[0]), rel=0.25)
