"""
Clips of one action in order, and how sure the order is.

Scores are points as announced, however each came about: with and without a declared difficulty
they are in one order.

The rule: one bad clip costs its own place and no other; what concerns the whole request (no room,
going down) fails it whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from model_store.assessment import Assessment
from model_store.errors import ClipError, RequestError
from model_store.judging.order import order_probability
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout, EmptyFile
from service.scoring.scored_clip import ClipToScore, ScoredClip

_OF_ONE_CLIP = (
    ClipError,
    RequestError,
    EmptyFile,
    DecoderFailed,
    DecoderTimeout,
    DecoderInterrupted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourPair:
    """Two neighbours in the order, by their indices."""

    first: int
    """The higher one."""
    second: int
    difference: float
    """Points between their scores."""
    probability: float | None
    """That judges would put them in this order, 0.5…1; None without intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    outcomes: tuple[Assessment | Exception, ...]
    """Of the clips in the order given; an exception is why a clip cannot be scored."""
    order: tuple[int, ...]
    """Indices of the scored clips, the best first."""
    pairs: tuple[NeighbourPair, ...]
    """Each clip of the order with the next."""


async def rank(
    clips: Sequence[ClipToScore],
    score: Callable[[ClipToScore], Awaitable[ScoredClip]],
    *,
    at_once: int,
) -> Ranking:
    """Score all clips, so many at a time, and put them in order.   Raises what concerns all."""
    turns = asyncio.Semaphore(at_once)

    async def outcome(clip: ClipToScore) -> Assessment | Exception:
        try:
            async with turns:
                return (await score(clip)).assessment
        except _OF_ONE_CLIP as error:
            return error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(outcome(clip)) for clip in clips]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    outcomes = tuple(task.result() for task in tasks)
    scored = {i: each for i, each in enumerate(outcomes) if isinstance(each, Assessment)}
    order = tuple(sorted(scored, key=lambda i: -scored[i].score))
    pairs = tuple(_pair(first, second, scored) for first, second in pairwise(order))
    return Ranking(outcomes=outcomes, order=order, pairs=pairs)


def _pair(first: int, second: int, scored: Mapping[int, Assessment]) -> NeighbourPair:
    one, other = scored[first], scored[second]
    difference = one.score - other.score
    probability = None
    if one.interval is not None and other.interval is not None:
        probability = order_probability(difference, one.interval, other.interval)
    return NeighbourPair(first=first, second=second, difference=difference, probability=probability)
