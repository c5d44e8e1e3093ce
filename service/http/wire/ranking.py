"""The form of `POST /rank`, and its answer."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from model_store.assessment import Assessment, ScoreWarning
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.errors import InvalidField
from model_store.judging.difficulty import ScoredBy, check_difficulty
from model_store.judging.dive_difficulty import DeclaredDive, declared
from service.errors import InvalidParameter
from service.http.problems import problem_of
from service.http.wire.checkpoints import CheckpointUsed, checkpoint_used
from service.http.wire.dive import DIVE, HEIGHT, DiveAnswer, dive_answer
from service.http.wire.fields import REFERENCE, Number
from service.http.wire.problem import ProblemAnswer
from service.http.wire.score import ClipAnswer, IntervalAnswer
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.ranking import Ranking
from service.scoring.scored_clip import ClipToScore

FEWEST, MOST = 2, 32  # clips
_ONCE_A_CLIP = "Once a clip, in their order, empty where it is not known; or not at all."

Declared = tuple[float | None, DeclaredDive | None]


def empty_is_none(value: object) -> object:
    """An empty field is one left out; FastAPI does this for fields that are not repeated."""
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
    difficulty: list[Annotated[Number | None, BeforeValidator(empty_is_none)]] = Field(
        [],
        description=f"As declared. {_ONCE_A_CLIP}",
    )
    dive: list[Annotated[str | None, BeforeValidator(empty_is_none)]] = Field(
        [], description=f"{DIVE} {_ONCE_A_CLIP}"
    )
    height: list[Annotated[Number | None, BeforeValidator(empty_is_none)]] = Field(
        [], description=f"{HEIGHT} {_ONCE_A_CLIP}"
    )

    def one_action(self) -> str | None:
        """The action of all clips, None if it was left out.   Raises InvalidParameter."""
        if (different := len(set(self.action))) > 1:
            need = f"{different} different ones, need the same for all clips"
            raise InvalidParameter(need, field="action")
        return self.action[0] if self.action else None

    def declared(self, action: str) -> list[Declared]:
        """The difficulty of each clip and the dive, as far as they are known.

        Raises InvalidParameter, and InvalidField and InvalidDifficulty of a clip.
        """
        count = len(self.clips)
        if not FEWEST <= count <= MOST:
            raise InvalidParameter(f"{count} clips, need {FEWEST} to {MOST}", field="clips")
        once_a_clip: dict[str, Sequence[object]] = {
            "difficulty": self.difficulty,
            "dive": self.dive,
            "height": self.height,
        }
        for name, values in once_a_clip.items():
            if values and len(values) != count:
                need = f"{len(values)} for {count} clips, need one each or none"
                raise InvalidParameter(need, field=name)
        difficulties = self.difficulty or [None] * count
        dives, heights = self.dive or [None] * count, self.height or [None] * count
        found = []
        for index in range(count):
            try:
                known = declared(action, difficulties[index], dives[index], heights[index])
                if known[0] is not None:
                    check_difficulty(action, known[0])
            except InvalidField as error:
                raise type(error)(f"clip {index}: {error}", field=error.field) from error
            found.append(known)
        return found

    def clips_to_score(
        self,
        checkpoint: LoadedCheckpoint,
        received: float,
        client: str,
        declared: Sequence[Declared],
    ) -> list[ClipToScore]:
        return [
            ClipToScore(
                upload=clip.file,
                checkpoint=checkpoint,
                client=client,
                received=received,
                difficulty=difficulty,
            )
            for clip, (difficulty, _) in zip(self.clips, declared, strict=True)
        ]


class RankedClip(BaseModel):
    index: int = Field(description="From 0, in the order sent.")
    rank: int | None = Field(description="From 1, the best; null if there is a `problem`.")
    dive: DiveAnswer | None = Field(description="With `dive` and `height` only.")
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


def rank_answer(
    ranking: Ranking, used: LoadedCheckpoint, request_id: str, declared: Sequence[Declared]
) -> RankAnswer:
    ranks = {index: rank for rank, index in enumerate(ranking.order, start=1)}
    return RankAnswer(
        request_id=request_id,
        action=used.card.action,
        order=list(ranking.order),
        pairs=[RankedPair(**asdict(pair)) for pair in ranking.pairs],
        clips=[
            _ranked_clip(outcome, index=index, rank=ranks.get(index), dive=dive_answer(dive))
            for index, (outcome, (_, dive)) in enumerate(
                zip(ranking.outcomes, declared, strict=True)
            )
        ],
        checkpoint=checkpoint_used(used),
    )


def _ranked_clip(
    outcome: Assessment | Exception, *, index: int, rank: int | None, dive: DiveAnswer | None
) -> RankedClip:
    if isinstance(outcome, Assessment):
        return RankedClip(**outcome.to_json(), index=index, rank=rank, dive=dive, problem=None)
    fields: dict[str, Any] = dict.fromkeys(RankedClip.model_fields)
    fields |= {
        "index": index,
        "dive": dive,
        "needs_review": True,
        "review_reasons": [],
        "warnings": [],
        "problem": ProblemAnswer(**problem_of(outcome).body()),
    }
    return RankedClip(**fields)
