"""
From the evidence of each frame to the windows of a recording that may be a routine.

The log-odds of a window [s, e) against "there is no routine" are

    begin(s) + end(e − 1) + Σ inside(t) for s ≤ t < e + prior(e − s)

and the probability of a window is its share of all windows' odds, with 1 for none. The window that
is chosen begins at the median of where windows like the most likely one begin, and ends at the
median of where they end: that is the least wrong on average.

Shapes: N frames, D possible lengths.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LIKE = 0.2  # of the shorter window: windows that share more show the same routine


class FrameWindow(NamedTuple):
    """Frames from `start` on, before `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthPrior:
    """How long routines are, in frames."""

    shortest: int
    longest: int
    usual: float
    spread: float
    offset: float
    """Log-odds of a window of the usual length, whatever it shows."""

    def log_odds(self, longest: int) -> Floats:
        """(D,) of the lengths from `shortest` to `longest`."""
        lengths = np.arange(self.shortest, longest + 1)
        odds = self.offset - 0.5 * ((lengths - self.usual) / self.spread) ** 2
        return odds.astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    best: FrameWindow
    log_odds: float
    """Of the most likely window like it, against no routine at all."""
    second: FrameWindow | None
    """The most likely one that shows something else; None if the recording has no room for it."""
    second_log_odds: float
    """−inf if there is none."""


def table(evidence: Floats, prior: LengthPrior) -> Floats:
    """(N, 3) begin, end, inside -> (N, D) log-odds of the window from frame s on, of each length.

    −inf for a window that does not end within the recording. N is at least `prior.shortest`.
    """
    begin, end, inside = evidence.astype(np.float64).T
    count, longest = len(evidence), min(prior.longest, len(evidence))
    sums = np.concatenate(([0.0], np.cumsum(inside)))
    starts = np.arange(count)[:, None]
    stops = starts + np.arange(prior.shortest, longest + 1)[None]
    within = np.minimum(stops, count)
    odds = begin[:, None] + end[within - 1] + sums[within] - sums[:-1, None]
    odds += prior.log_odds(longest)
    odds[stops > count] = -np.inf
    log_odds: Floats = odds.astype(np.float32)
    return log_odds


def choose(odds: Floats, shortest: int) -> Choice:
    """From the `table` of a recording."""
    best, log_odds = _most_likely(odds, shortest)
    like = _like(odds, shortest, best)
    second, second_log_odds = None, -np.inf
    other = np.where(like, -np.inf, odds)
    if np.isfinite(other).any():
        second, second_log_odds = _most_likely(other, shortest)
        second = _median(other, shortest, _like(other, shortest, second))
    return Choice(
        best=_median(odds, shortest, like),
        log_odds=log_odds,
        second=second,
        second_log_odds=second_log_odds,
    )


def _most_likely(odds: Floats, shortest: int) -> tuple[FrameWindow, float]:
    start, length = np.unravel_index(np.argmax(odds), odds.shape)
    window = FrameWindow(int(start), int(start + length) + shortest)
    return window, float(odds[start, length])


def _like(odds: Floats, shortest: int, window: FrameWindow) -> NDArray[np.bool_]:
    """(N, D): which windows show the same as `window`."""
    starts = np.arange(odds.shape[0])[:, None]
    lengths = shortest + np.arange(odds.shape[1])[None]
    shared = np.minimum(starts + lengths, window.stop) - np.maximum(starts, window.start)
    like: NDArray[np.bool_] = shared > LIKE * np.minimum(lengths, window.stop - window.start)
    return like


def _median(odds: Floats, shortest: int, like: NDArray[np.bool_]) -> FrameWindow:
    """Of where the windows that are `like` begin, and of where they end."""
    weights = np.where(like, odds, -np.inf).astype(np.float64)
    weights = np.exp(weights - weights.max())
    starts = np.arange(len(weights))
    stops = starts[:, None] + shortest + np.arange(weights.shape[1])
    ends = np.bincount(stops.ravel(), weights=weights.ravel()).astype(np.float64)
    start, stop = _middle(weights.sum(axis=1)), _middle(ends)
    longest = shortest + weights.shape[1] - 1
    return FrameWindow(max(start, stop - longest), stop)


def _middle(weights: NDArray[np.float64]) -> int:
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, sums[-1] / 2))
