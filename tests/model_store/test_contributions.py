"""Shapley values against the definition, written out in other ways."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.contributions import Coalitions, Contributions, sampled_shapley, shapley


def random_games(players: int, games: int = 3) -> np.ndarray:
    return np.random.default_rng(players).normal(70, 10, (games, 2**players))


def bits(players: set[int]) -> int:
    return sum(1 << player for player in players)


def by_definition(values: np.ndarray, players: int) -> np.ndarray:
    """Σ over S ⊆ N∖{i} of |S|! (K−|S|−1)! / K! · (v(S ∪ {i}) − v(S)), set by set."""
    result = np.zeros((len(values), players))
    for i in range(players):
        others = [player for player in range(players) if player != i]
        for size in range(players):
            share = math.factorial(size) * math.factorial(players - size - 1)
            for chosen in itertools.combinations(others, size):
                gain = values[:, bits({*chosen, i})] - values[:, bits({*chosen})]
                result[:, i] += share / math.factorial(players) * gain
    return result


@pytest.mark.parametrize("players", [1, 2, 4, 7])
def test_shapley_is_its_definition(players: int) -> None:
    values = random_games(players)
    np.testing.assert_allclose(shapley(values), by_definition(values, players), atol=1e-10)


def test_a_table_must_hold_all_coalitions() -> None:
    with pytest.raises(ValueError, match="power of two"):
        shapley(np.zeros((1, 12)))


def answer(
    values: NDArray[np.floating],
    coalitions: Coalitions,
    *,
    blank: NDArray[np.bool_] | None = None,
    used: tuple[int, ...] | None = None,
    fragments: int | None = None,
) -> Contributions:
    fragments = fragments or coalitions.shown.shape[1]
    if blank is None:
        blank = np.zeros((len(values), fragments), bool)
    return Contributions.of(
        values,
        coalitions,
        baseline=float(values[0, 0]),
        blank=blank,
        used=used or tuple(range(fragments)),
    )


def test_alone_without_and_the_sum() -> None:
    values = random_games(4)
    values[:, 0] = 61.0
    result = answer(values, Coalitions.of(4))
    assert result.baseline == 61.0
    assert result.standard_error is None
    np.testing.assert_array_equal(result.score, values[:, 0b1111])
    np.testing.assert_array_equal(result.alone, values[:, [0b0001, 0b0010, 0b0100, 0b1000]])
    np.testing.assert_array_equal(result.without, values[:, [0b1110, 0b1101, 0b1011, 0b0111]])
    np.testing.assert_allclose(
        result.baseline + result.contribution.sum(axis=1), result.score, atol=1e-10
    )


def test_a_blank_fragment_gets_exactly_nothing() -> None:
    coalitions = Coalitions.of(4)
    game = random_games(3, games=1)[0]
    # Player 1 is blank: its presence changes nothing but the last digits, as in float32.
    without_it = [bits({a for a, b in ((0, 0), (1, 2), (2, 3)) if m >> b & 1}) for m in range(16)]
    noise = np.random.default_rng(0).normal(0, 1e-5, 16)
    values = (game[without_it] + noise).astype(np.float32)[None]
    result = answer(values, coalitions, blank=np.array([[False, True, False, False]]))
    assert result.contribution[0, 1] == 0.0
    assert result.alone[0, 1] == result.baseline
    assert result.without[0, 1] == result.score[0]
    np.testing.assert_allclose(result.contribution[0, [0, 2, 3]], shapley(game[None])[0], atol=1e-3)
    np.testing.assert_allclose(result.baseline + result.contribution.sum(), result.score[0])


def test_of_a_blank_clip_the_baseline_is_left() -> None:
    values = random_games(3, games=2)
    values[:, 0] = 61.0
    result = answer(values, Coalitions.of(3), blank=np.array([[True] * 3, [False] * 3]))
    assert result.score[0] == 61.0 != result.score[1]
    assert (result.contribution[0] == 0.0).all()


def test_unused_fragments_do_not_take_part() -> None:
    values = random_games(2)
    values[:, 0] = 61.0
    result = answer(values, Coalitions.of(2), used=(1, 3), fragments=5)
    np.testing.assert_allclose(result.contribution[:, [1, 3]], shapley(values))
    for idle in (0, 2, 4):
        assert (result.contribution[:, idle] == 0.0).all()
        assert (result.alone[:, idle] == 61.0).all()
        assert (result.without[:, idle] == result.score).all()


def game_of(shown: np.ndarray) -> np.ndarray:
    """Scores of coalitions (M, K) -> (1, M): each fragment, neighbours together, a ceiling."""
    worth = np.linspace(1.0, 4.0, shown.shape[1])
    pairs = shown[:, 1:] & shown[:, :-1]
    scores: np.ndarray = 60 + 20 * np.tanh((shown @ worth + pairs.sum(axis=1)) / 10)
    return scores[None]


def test_many_fragments_are_sampled_and_the_standard_error_is_reported() -> None:
    coalitions = Coalitions.of(12)
    assert coalitions.orders is not None
    assert len(coalitions.shown) < 2**12
    exact = shapley(game_of(Coalitions.all(12).shown))
    result = answer(game_of(coalitions.shown), coalitions)
    assert result.standard_error is not None
    assert (result.standard_error > 0).all()
    assert (result.standard_error < 0.3).all()
    off = np.abs(result.contribution - exact) / result.standard_error
    assert off.max() < 4
    assert np.sqrt((off**2).mean()) > 0.3  # neither is the error overstated
    np.testing.assert_allclose(result.baseline + result.contribution.sum(), result.score[0])
    shown = np.eye(12, dtype=bool)
    np.testing.assert_array_equal(result.alone, game_of(shown))
    np.testing.assert_array_equal(result.without, game_of(~shown))


def test_standard_errors_cover_the_truth_as_often_as_they_should() -> None:
    exact = shapley(game_of(Coalitions.all(8).shown))
    off = []
    for seed in range(40):
        coalitions = Coalitions.sampled(8, pairs=16, seed=seed)
        assert coalitions.orders is not None
        estimate, error = sampled_shapley(game_of(coalitions.shown), coalitions.orders)
        off.append((estimate - exact) / error)
    assert 0.8 < np.std(off) < 1.3
    assert abs(np.mean(off)) < 0.2


def test_a_sample_is_exact_where_fragments_do_not_interact() -> None:
    coalitions = Coalitions.of(11)
    worth = np.arange(11.0)
    result = answer((50 + coalitions.shown @ worth)[None], coalitions)
    np.testing.assert_allclose(result.contribution[0], worth)
    assert result.standard_error is not None
    np.testing.assert_allclose(result.standard_error, 0, atol=1e-12)


def test_samples_are_the_same_every_time_and_blank_fragments_get_nothing() -> None:
    coalitions, again = Coalitions.of(70), Coalitions.of(70)
    np.testing.assert_array_equal(coalitions.shown, again.shown)
    assert not coalitions.shown[0].any()
    assert coalitions.shown[coalitions.full].all()
    blank = np.zeros((1, 70), bool)
    blank[0, [0, 40]] = True
    result = answer(game_of(coalitions.shown & ~blank), coalitions, blank=blank)
    assert (result.contribution[blank] == 0).all()
    assert result.standard_error is not None
    assert (result.standard_error[blank] == 0).all()
    assert (result.contribution[~blank] != 0).all()
