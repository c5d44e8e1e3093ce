"""
The panel check: `marks` with `POST /score`, and `POST /panel` without a clip.

The arithmetic is in `model_store.judging.panel`; here are its requests and answers.
"""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from model_store.errors import InvalidPanel
from model_store.judging.dive_difficulty import DeclaredDive
from model_store.judging.interval import Interval
from model_store.judging.panel import Panel, judge, model_mark
from model_store.number import numbers
from service.http.wire.dive import DIVE, HEIGHT, DiveAnswer, dive_answer
from service.http.wire.fields import JsonOrForm, Marks, Number


class PanelForm(JsonOrForm):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "diving", "marks": [8.5, 8, 8, 8.5, 9, 8, 8], "difficulty": 3.3},
                {"action": "diving", "marks": [8.5, 8, 8], "dive": "107B", "height": 3},
                {
                    "action": "vault",
                    "marks": [9.1, 9.0, 8.9, 9.1, 8.4],
                    "difficulty": 5.8,
                    "deductions": 0.1,
                },
            ]
        },
    )

    action: str = Field("diving", description="`diving` or `vault`.")
    marks: Marks = Field(
        description="In the order of the score sheet; in a form `8.5,8,8,8.5,9,8,8` or with spaces,"
        " where a decimal comma is possible too: `8,5 8 8`. In diving 2, 3, 5 or 7, or 9 or 11 of"
        " synchronised diving; in vault 4 to 7."
    )
    difficulty: Number | None = Field(None, description="As declared; or else `dive`, `height`.")
    dive: str | None = Field(None, description=DIVE)
    height: Number | None = Field(None, description=HEIGHT)
    deductions: Number = Field(0.0, description="Neutral ones, points; vault only.")


class JudgeAnswer(BaseModel):
    judge: int = Field(description="From 1, in the order given.")
    role: str = Field(
        description="`execution`; of 9 and 11 `first diver`, `second diver`, `synchronisation`."
    )
    mark: float
    counts: bool = Field(description="Whether the mark is part of the total.")
    from_panel: float = Field(description="Mark − median of the others with the same role.")
    from_model: float | None = Field(description="Mark − the model's mark; null without a clip.")
    real_share: float | None = Field(
        description="Of real marks, those at least as far from the others; null: not known."
    )
    out_of_line: bool | None = Field(
        description="Fewer than one in a hundred real marks lies so far out; null: not known."
    )


class ModelAnswer(BaseModel):
    """The model's score of the clip, on the scale of the marks."""

    mark: float
    low: float | None = Field(description="Interval of the mark; null if not calibrated.")
    high: float | None
    agrees: bool | None = Field(
        description="Whether the panel's mark lies inside; null if not calibrated."
    )


class PanelAnswer(BaseModel):
    """A panel's marks, counted by the rules: the official total, and who is out of line."""

    action: str
    rule: str = Field(description="What counts, and which rule book of which year says so.")
    total: float = Field(description="Official, points.")
    execution: float = Field(description="× difficulty in diving, + difficulty in vault.")
    difficulty: float
    dive: DiveAnswer | None = Field(description="With `dive` and `height` only.")
    deductions: float
    mark: float = Field(description="Mean of the marks that count.")
    judges: list[JudgeAnswer]
    out_of_line: list[int] = Field(description="The judges whose marks are.")
    model: ModelAnswer | None = Field(description="Null without a clip.")


def panel_of(
    action: str, marks: str | None, difficulty: float | None, deductions: float | None
) -> Panel | None:
    """The panel that came with a clip, if one did.   Raises InvalidPanel."""
    if marks is None:
        if deductions is not None:
            raise InvalidPanel("they are the panel's, which needs marks", field="deductions")
        return None
    try:
        given = numbers(marks)
    except ValueError as error:
        raise InvalidPanel(str(error), field="marks") from error
    return judge(action, given, difficulty, deductions or 0.0)


def panel_answer(
    panel: Panel,
    score: float | None = None,
    interval: Interval | None = None,
    dive: DeclaredDive | None = None,
) -> PanelAnswer:
    """With a score, also how far everybody is from the model."""
    model = None if score is None else model_mark(panel, score, interval)
    fields = asdict(panel)
    judges = [
        JudgeAnswer(**each, from_model=None if model is None else each["mark"] - model.mark)
        for each in fields.pop("marks")
    ]
    agrees = (
        None
        if model is None or model.low is None or model.high is None
        else model.low <= panel.mark <= model.high
    )
    return PanelAnswer(
        **fields,
        dive=dive_answer(dive),
        judges=judges,
        out_of_line=[each.judge for each in judges if each.out_of_line],
        model=None if model is None else ModelAnswer(**asdict(model), agrees=agrees),
    )
