"""Kept clips on the wire: what judges gave, and what is kept."""

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from model_store.archive import KeptClip
from service.errors import InvalidParameter
from service.http.wire.dive import DIVE, HEIGHT
from service.http.wire.fields import JsonOrForm, Marks, Number
from service.scoring.archive import MOST_LISTED, Listing
from service.scoring.judged import Given

MOST_LETTERS = 200  # of the name of a group


def same_name(text: str) -> str:
    """Without space around it, and in the form of Unicode that data sets have."""
    if not text.isprintable():  # half a surrogate pair is not, which no file can hold
        raise PydanticCustomError("name", "need printable letters on one line")
    return unicodedata.normalize("NFC", text.strip())


class JudgedForm(JsonOrForm):
    """At least one of these. A field that is given replaces the one that is known."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"marks": [8.5, 8, 8, 8.5, 9, 8, 8], "difficulty": 3.3}]}
    )

    marks: Marks | None = Field(
        None,
        description="The panel's, in the order of the score sheet: the score follows from them and"
        " the difficulty.",
    )
    difficulty: Number | None = Field(
        None, description="As declared; that of the request to score counts if it is left out."
    )
    dive: str | None = Field(None, description=DIVE)
    height: Number | None = Field(None, description=HEIGHT)
    deductions: Number | None = Field(
        None, description="Neutral ones of the panel, points; vault only."
    )
    score: Number | None = Field(
        None,
        description="As announced, points, where the marks are not known; it replaces them. With"
        " marks it must be what they give.",
    )
    group: Annotated[str, AfterValidator(same_name)] | None = Field(
        None,
        max_length=MOST_LETTERS,
        description="The athlete or the meet, by any name: training never splits a group.",
    )

    def given(self) -> Given:
        """Raises InvalidParameter where there is nothing."""
        fields = {name: value for name, value in self if value not in (None, "")}
        if not fields:
            need = f"no field, need one of {', '.join(type(self).model_fields)}"
            raise InvalidParameter(need, field="body")
        return Given(**fields)


class JudgedAnswer(BaseModel):
    action: str = Field(description="The action that was scored by then; its rules count.")
    score: float | None = Field(description="Points; null while neither marks nor a score came.")
    difficulty: float | None
    marks: list[float] = Field(description="Empty where only the score is known.")
    deductions: float
    group: str | None
    start_s: float | None = Field(description="The part of the file that was scored by then.")
    end_s: float | None
    judged_at: datetime


class KeptClipAnswer(BaseModel):
    sha256: str
    action: str
    score: float = Field(description="Predicted, of the newest answer.")
    difficulty: float | None = Field(description="That of the newest request to score it.")
    start_s: float | None = Field(description="The part of the file that was scored; null: all.")
    end_s: float | None
    scored_at: datetime
    judged: JudgedAnswer | None = Field(description="What judges gave; null if nothing.")


class ClipsAnswer(BaseModel):
    """What is kept."""

    total: int
    judged: int = Field(description="Of these, those of which judges gave anything.")
    clips: list[KeptClipAnswer] = Field(
        description=f"Newest first, at most {MOST_LISTED}; `total` counts all."
    )
    damaged: list[str] = Field(
        description="Hashes of clips among the newest whose folder cannot be read."
    )


class ForgottenAnswer(BaseModel):
    sha256: str
    forgotten: bool


def kept_clip_answer(clip: KeptClip) -> KeptClipAnswer:
    answer = clip.answer
    return KeptClipAnswer(
        sha256=clip.sha256,
        action=answer.action,
        score=answer.score,
        difficulty=answer.difficulty,
        start_s=answer.start_s,
        end_s=answer.end_s,
        scored_at=answer.scored_at,
        judged=None if clip.judged is None else JudgedAnswer(**clip.judged.model_dump()),
    )


def clips_answer(listing: Listing) -> ClipsAnswer:
    return ClipsAnswer(
        total=listing.total,
        judged=listing.judged,
        clips=[kept_clip_answer(clip) for clip in listing.clips],
        damaged=listing.damaged,
    )
