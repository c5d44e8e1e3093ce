"""
`POST /rank`: clips of one action in order, and how sure the order is.

Scores are points as announced, however each came about: with and without a declared difficulty
they are in one order, and each clip says what its score rests on.

The rule: one bad clip costs its own place and no other; what concerns the whole request (no room,
going down) fails it whole.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.errors import ClipError, RequestError
from model_store.judging.difficulty import ScoredBy, check_difficulty
from model_store.judging.order import order_probability
from service.errors import (
    DecoderFailed,
    DecoderInterrupted,
    DecoderTimeout,
    EmptyFile,
    InvalidParameter,
)
from service.http.problems import Problem, problem_of
from service.http.wire.panel import Number
from service.http.wire.score import (
    REFERENCE,
    CheckpointUsed,
    ClipAnswer,
    IntervalAnswer,
    ProblemAnswer,
    ScoreAnswer,
    ScoreWarning,
)
from service.logs import request_id
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.scoring_service import ScoringService

FEWEST, MOST = 2, 32  # clips

_ITS_OWN = (ClipError, RequestError, EmptyFile, DecoderFailed, DecoderTimeout, DecoderInterrupted)


def none_if_empty(value: object) -> object:
    """As FastAPI takes an empty field that is not repeated."""
    return None if value == "" else value


class RankForm(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    clips: list[UploadFile] = Field(
        description=f"{FEWEST} to {MOST} videos, each a file of this name.",
        json_schema_extra={"items": {"type": "string", "format": "binary"}},
    )
    action: list[str] = Field(
        [], description="`diving` or `vault`, for all; once, or once a clip. A default is set."
    )
    checkpoint: str | None = Field(
        None, pattern=REFERENCE, description="`name@version`, instead of `action`."
    )
    difficulty: list[Annotated[Number | None, BeforeValidator(none_if_empty)]] = Field(
        [],
        description="As declared: once a clip, in their order, empty where it is not known; or not"
        " at all.",
    )


class RankedClip(BaseModel):
    index: int = Field(description="From 0, in the order sent.")
    rank: int | None = Field(description="From 1, the best; null where `problem` says why.")
    score: float | None
    execution: float | None = Field(description="Null without a difficulty.")
    scored_by: ScoredBy | None = Field(description="What its score rests on; null without one.")
    interval: IntervalAnswer | None
    needs_review: bool
    review_reasons: list[ReviewReason]
    warnings: list[ClipWarning | ScoreWarning]
    clip: ClipAnswer | None
    problem: ProblemAnswer | None = Field(description="Why this clip has no rank.")


class RankedPair(BaseModel):
    """Two neighbours in the order."""

    first: int = Field(description="Index of the higher one.")
    second: int
    difference: float = Field(description="Points between their scores.")
    probability: float | None = Field(
        description="That judges would put them in this order, 0.5…1; null if not calibrated."
    )


class RankAnswer(BaseModel):
    request_id: str
    action: str
    order: list[int] = Field(description="Indices of the clips, the best first.")
    pairs: list[RankedPair] = Field(description="Each clip of the order with the next.")
    clips: list[RankedClip] = Field(description="In the order sent.")
    checkpoint: CheckpointUsed


def one_action(actions: Sequence[str]) -> str | None:
    """The action of all clips, None if it was left out.   Raises InvalidParameter."""
    if len(set(actions)) > 1:
        raise InvalidParameter(
            f"{len(set(actions))} different ones, need the same for all clips", field="action"
        )
    return actions[0] if actions else None


async def rank(
    service: ScoringService, form: RankForm, chosen: LoadedCheckpoint, *, began: float
) -> RankAnswer:
    """Score all clips and put them in order.   Raises what concerns all of them."""
    if not FEWEST <= len(form.clips) <= MOST:
        raise InvalidParameter(f"{len(form.clips)} clips, need {FEWEST} to {MOST}", field="clips")
    if form.difficulty and len(form.difficulty) != len(form.clips):
        raise InvalidParameter(
            f"{len(form.difficulty)} for {len(form.clips)} clips, need one each or none",
            field="difficulty",
        )
    for value in form.difficulty:
        if value is not None:
            check_difficulty(chosen.checkpoint.card.action, value)
    difficulties: Sequence[float | None] = form.difficulty or [None] * len(form.clips)

    turns = asyncio.Semaphore(service.settings.decode_workers + 1)  # others want a place too

    async def outcome(clip: UploadFile, difficulty: float | None) -> ScoreAnswer | Problem:
        try:
            if not clip.size:
                raise EmptyFile("0 bytes, need a video file")
            async with turns:
                return await service.score(clip.file, chosen, began=began, difficulty=difficulty)
        except _ITS_OWN as error:
            return problem_of(error)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(outcome(clip, difficulty))
                for clip, difficulty in zip(form.clips, difficulties, strict=True)
            ]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    outcomes = [task.result() for task in tasks]
    scores = {i: each for i, each in enumerate(outcomes) if isinstance(each, ScoreAnswer)}
    order = sorted(scores, key=lambda i: -scores[i].score)
    rank_of = {index: place for place, index in enumerate(order, 1)}
    return RankAnswer(
        request_id=request_id.get() or "",
        action=chosen.checkpoint.card.action,
        order=order,
        pairs=[_pair(i, j, scores) for i, j in pairwise(order)],
        clips=[_clip(i, rank_of.get(i), outcome) for i, outcome in enumerate(outcomes)],
        checkpoint=chosen.used(),
    )


def _pair(first: int, second: int, scores: Mapping[int, ScoreAnswer]) -> RankedPair:
    one, other = scores[first], scores[second]
    difference = one.score - other.score
    probability = None
    if one.interval is not None and other.interval is not None:
        probability = order_probability(
            difference, one.interval.interval(), other.interval.interval()
        )
    return RankedPair(first=first, second=second, difference=difference, probability=probability)


def _clip(index: int, rank: int | None, outcome: ScoreAnswer | Problem) -> RankedClip:
    if isinstance(outcome, Problem):
        return RankedClip(
            index=index,
            rank=None,
            score=None,
            execution=None,
            scored_by=None,
            interval=None,
            needs_review=True,
            review_reasons=[],
            warnings=[],
            clip=None,
            problem=ProblemAnswer(**outcome.body()),
        )
    return RankedClip(
        index=index,
        rank=rank,
        score=outcome.score,
        execution=outcome.execution,
        scored_by=outcome.scored_by,
        interval=outcome.interval,
        needs_review=outcome.needs_review,
        review_reasons=outcome.review_reasons,
        warnings=outcome.warnings,
        clip=outcome.clip,
        problem=None,
    )
