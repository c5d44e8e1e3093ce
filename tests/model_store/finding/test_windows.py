"""The search over evidence, against an enumeration of all windows."""

import itertools

import numpy as np
import pytest

from model_store.finding.windows import LIKE, FrameWindow, LengthPrior, choose, table

PRIOR = LengthPrior(shortest=5, longest=12, usual=8.0, spread=2.0, offset=-4.0)
Odds = dict[FrameWindow, float]


def evidence(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(0, 1.5, (count, 3)).astype(np.float32)


def enumerated(found: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Odds:
    """The log-odds of each window, added up frame by frame."""
    odds = {}
    for start, length in itertools.product(range(len(found)), range(5, 13)):
        window = FrameWindow(start, start + length)
        if window.stop <= len(found):
            inside = sum(float(found[t, 2]) for t in range(*window))
            prior = PRIOR.offset - 0.5 * ((length - PRIOR.usual) / PRIOR.spread) ** 2
            ends = float(found[start, 0]) + float(found[window.stop - 1, 1])
            odds[window] = ends + inside + prior
    return odds


def alike(window: FrameWindow, other: FrameWindow) -> bool:
    shared = len({*range(*window)} & {*range(*other)})
    return shared > LIKE * min(window.stop - window.start, other.stop - other.start)


def median_of(odds: Odds, like: FrameWindow) -> FrameWindow:
    chosen = {window: np.exp(value) for window, value in odds.items() if alike(window, like)}
    half = sum(chosen.values()) / 2
    ends = []
    for side in (0, 1):
        total = 0.0
        for at in sorted({window[side] for window in chosen}):
            total += sum(weight for window, weight in chosen.items() if window[side] == at)
            if total >= half:
                ends.append(at)
                break
    return FrameWindow(max(ends[0], ends[1] - 12), ends[1])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [5, 9, 12, 13, 40])
def test_choice_is_that_of_an_enumeration(count: int, seed: int) -> None:
    found = evidence(count, seed)
    odds = enumerated(found)
    choice = choose(table(found, PRIOR), PRIOR.shortest)

    best = max(odds, key=odds.__getitem__)
    assert choice.log_odds == pytest.approx(odds[best], abs=1e-3)
    assert choice.best == median_of(odds, best)
    others = {window: value for window, value in odds.items() if not alike(window, best)}
    if not others:
        assert choice.second is None
        assert choice.second_log_odds == -np.inf
        return
    second = max(others, key=others.__getitem__)
    assert choice.second_log_odds == pytest.approx(odds[second], abs=1e-3)
    assert choice.second == median_of(others, second)


def test_two_routines_are_the_two_choices() -> None:
    found = np.full((100, 3), -1.0, np.float32)
    for start, height in ((20, 3.0), (60, 4.0)):
        found[start, 0] = found[start + 9, 1] = 5
        found[start : start + 10, 2] = height
    choice = choose(table(found, PRIOR), PRIOR.shortest)
    assert choice.best == (60, 70)
    assert choice.second == (20, 30)
    assert choice.log_odds > choice.second_log_odds > 0


def test_nothing_is_less_likely_than_none() -> None:
    choice = choose(table(np.full((30, 3), -1.0, np.float32), PRIOR), PRIOR.shortest)
    assert choice.log_odds < 0


def test_no_window_leaves_the_recording_or_is_longer_than_a_routine() -> None:
    for seed, count in itertools.product(range(20), (5, 8, 30)):
        found = evidence(count, seed)
        found[:, 2] += 3  # longer is better
        choice = choose(table(found, PRIOR), PRIOR.shortest)
        assert 0 <= choice.best.start < choice.best.stop <= count
        assert choice.best.stop - choice.best.start <= PRIOR.longest
