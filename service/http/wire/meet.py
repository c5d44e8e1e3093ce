"""
The judges over a whole meet: `POST /panel/meet`.

The figures are those of `model_store.judging.meet`; here are the request and the answer.
"""

from dataclasses import asdict
from typing import Annotated

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from model_store.judging.meet import (
    COVERAGE,
    CountedDive,
    MeetDive,
    MeetJudge,
    Range,
    judge_meet,
)
from model_store.judging.panel import RULES
from service.http.form_fields import check_body
from service.http.wire.dive import DIVE, HEIGHT, DiveAnswer, dive_answer
from service.http.wire.fields import Number, split_marks

MOST_DIVES = 1000
MOST_JUDGES = max(RULES["diving"].panels)
BODY_BYTES = 256_000  # of a request; some 250 a dive

MEET_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MeetForm"}}},
}
"""Of the OpenAPI document, which FastAPI does not write where it does not read the body."""

_NEW = ConfigDict(extra="forbid", allow_inf_nan=False)


class MeetDiveForm(BaseModel):
    model_config = _NEW

    diver: str | None = Field(
        None, max_length=200, description="Any name; intervals allow for a judge who likes one."
    )
    dive: str | None = Field(None, description=DIVE)
    height: Number | None = Field(None, description=HEIGHT)
    difficulty: Number | None = Field(None, description="As declared, instead of `dive`.")
    marks: Annotated[list[Number | None], BeforeValidator(split_marks)] = Field(
        max_length=MOST_JUDGES,
        description="By judge, every judge always at the same place; null for one who did not judge"
        " this dive.",
    )
    deductions: Number = Field(0.0, description="Neutral ones, points; vault only.")

    def as_sent(self) -> MeetDive:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return MeetDive(**{**fields, "marks": tuple(self.marks)})


class MeetForm(BaseModel):
    model_config = _NEW | ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": "diving",
                    "dives": [
                        {"diver": "Anna", "dive": "107B", "height": 3, "marks": [8.5, 8, 8, 7, 9]},
                        {"diver": "Ben", "difficulty": 2.4, "marks": [6, 6.5, 6, 5, 6.5]},
                    ],
                }
            ]
        }
    )

    action: str = Field("diving", description="`diving` or `vault`.")
    dives: list[MeetDiveForm] = Field(
        min_length=1, max_length=MOST_DIVES, description=f"1 to {MOST_DIVES}, in any order."
    )


class RangeAnswer(BaseModel):
    low: float
    high: float


class MeetJudgeAnswer(BaseModel):
    judge: int = Field(description="From 1, in the order of the marks.")
    dives: int = Field(description="That this judge marked; failed dives (0 from all) left out.")
    bias: float | None = Field(
        description="Mean of mark − median of the others with the same role, marks; above 0: more"
        " generous than they are. Of two judges one is minus the other."
    )
    bias_interval: RangeAnswer | None = Field(
        description="Holds the judge's own bias with the probability `coverage`: Student's t over"
        " divers. Null with fewer than three divers."
    )
    bias_real_share: float | None = Field(
        description="Of real judges, those whose bias would look at least as large over as many"
        " dives; null: not known."
    )
    spread: float | None = Field(
        description="Standard deviation of mark − median of the others, marks: how unevenly."
    )
    spread_interval: RangeAnswer | None
    spread_of_real: RangeAnswer | None = Field(
        description="Nine of ten real judges have a spread between these; null: not known."
    )
    agreement: float | None = Field(
        description="Spearman's rank correlation with the median of the others, −1…1."
    )
    out_of_line: int | None = Field(
        description="Marks as far out as fewer than one real mark in a hundred; null: not known."
    )
    out_of_line_share: float | None
    out_of_line_interval: RangeAnswer | None


class MeetDiveAnswer(BaseModel):
    index: int = Field(description="From 0, in the order sent.")
    diver: str | None
    dive: DiveAnswer | None
    difficulty: float
    execution: float
    total: float = Field(description="By the rules, points.")
    out_of_line: list[int] = Field(description="The judges whose marks are.")


class MeetAnswer(BaseModel):
    """What each judge's marks show over all dives, and every dive's total."""

    action: str
    coverage: float = Field(description="Of all intervals.")
    rules: list[str] = Field(
        description="What counts, by which rule book of which year; one for each size of panel."
    )
    judges: list[MeetJudgeAnswer]
    dives: list[MeetDiveAnswer]


def judged_meet(body: bytes) -> bytes:
    """From a request's JSON to the answer's: some tenths of a second, for a thread of its own.

    Raises RequestValidationError, InvalidParameter, InvalidMeet and InvalidPanel.
    """
    form = _form_of(body)
    meet = judge_meet(form.action, [dive.as_sent() for dive in form.dives])
    answer = MeetAnswer(
        action=meet.action,
        coverage=COVERAGE,
        rules=list(dict.fromkeys(dive.panel.rule for dive in meet.dives)),
        judges=[_judge_answer(each) for each in meet.judges],
        dives=[_dive_answer(index, dive) for index, dive in enumerate(meet.dives)],
    )
    return answer.model_dump_json().encode()


def _form_of(body: bytes) -> MeetForm:
    """It is parsed by pydantic first: Python's own parser would keep a body of many thousand small
    objects, of which none counts, for so long that other threads have to wait."""
    try:
        form = MeetForm.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([_as_ours(each) for each in wrong]) from error
    check_body(MeetForm, body, is_json=True)  # a key that is there twice
    return form


def _as_ours(wrong: ErrorDetails) -> dict[str, object]:
    message = wrong["msg"]
    if wrong["type"] == "extra_forbidden":
        form = MeetForm if len(wrong["loc"]) == 1 else MeetDiveForm
        message = f"no such field. There are {', '.join(form.model_fields)}"
    return {**wrong, "loc": ("body", *wrong["loc"]), "msg": message}


def _judge_answer(judge: MeetJudge) -> MeetJudgeAnswer:
    ranges: dict[str, Range | None] = {
        "bias_interval": judge.bias_interval,
        "spread_interval": judge.spread_interval,
        "spread_of_real": judge.spread_of_real,
        "out_of_line_interval": judge.out_of_line_interval,
    }
    intervals = {
        name: None if range_ is None else RangeAnswer(low=range_[0], high=range_[1])
        for name, range_ in ranges.items()
    }
    return MeetJudgeAnswer(**asdict(judge) | intervals)


def _dive_answer(index: int, dive: CountedDive) -> MeetDiveAnswer:
    return MeetDiveAnswer(
        index=index,
        diver=dive.diver,
        dive=dive_answer(dive.dive),
        difficulty=dive.panel.difficulty,
        execution=dive.panel.execution,
        total=dive.panel.total,
        out_of_line=[mark.judge for mark in dive.panel.marks if mark.out_of_line],
    )
