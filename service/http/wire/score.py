"""What goes over the wire: the form of `POST /score` and the answers. Names here are a contract."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from model_store.card import TrainedOn
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.judging.difficulty import ScoredBy
from model_store.judging.interval import Interval
from model_store.network_spec import Target
from model_store.spec import DifficultyRule
from service.http.wire.panel import Number, PanelAnswer

REFERENCE = r"^[A-Za-z0-9_.-]{1,64}(@[0-9]{1,9})?$"


class ScoreWarning(StrEnum):
    """What a judge should know about the score itself."""

    ABOVE_RANGE = "score_above_range"  # above what the action nominally allows
    BELOW_RANGE = "score_below_range"


class ScoreForm(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    clip: UploadFile = Field(
        description="The video: mp4, mov, mkv, webm, avi or ts.",
        json_schema_extra={"format": "binary"},  # as generators of clients know a file
    )
    action: str | None = Field(
        None,
        pattern=REFERENCE,
        description="`diving`, `vault` or another checkpoint; there is a default.",
    )
    checkpoint: str | None = Field(
        None, pattern=REFERENCE, description="`name@version`, instead of `action`."
    )
    difficulty: Number | None = Field(
        None, gt=0, description="As declared. The score then rests on it too, see `scored_by`."
    )
    start_s: Number | None = Field(
        None, ge=0, description="Where the routine begins, seconds of the file."
    )
    end_s: Number | None = Field(None, gt=0, description="Where it ends, seconds of the file.")
    marks: str | None = Field(
        None,
        description="The panel's, to check: `8.5,8,8,8.5,9,8,8`, or with spaces. Needs the"
        " difficulty.",
    )
    deductions: Number | None = Field(
        None, description="Neutral ones of the panel, points; vault only."
    )
    include: Literal["frames"] | None = Field(
        None, description="`frames`: also one JPEG a fragment, as scored."
    )


class FragmentAnswer(BaseModel):
    index: int = Field(description="From 0, in order of time.")
    stage: str | None = Field(description="Part of the routine that it mostly shows.")
    start_s: float | None = Field(description="Seconds of the file; null for a blank one.")
    end_s: float | None
    blank: bool = Field(description="Nothing to see: the clip is shorter than what is scored.")
    contribution: float = Field(description="Points that seeing it added. Exactly 0 if blank.")
    alone: float = Field(description="The score when only this fragment is shown.")
    without: float = Field(description="The score when all but this one are shown.")
    jpeg: str | None = Field(
        None, description="Its middle frame as scored, base64; with `include=frames` only."
    )


class IntervalAnswer(BaseModel):
    """Where the judged score is expected, points, for a share `coverage` of such clips."""

    low: float
    high: float
    coverage: float

    def interval(self) -> Interval:
        return Interval(low=self.low, high=self.high, coverage=self.coverage)


class CheckpointUsed(BaseModel):
    name: str
    version: int
    sha256: str = Field(description="Of the checkpoint's manifest, hence of all of it.")
    trained_on: TrainedOn
    engine: str


class ClipAnswer(BaseModel):
    sha256: str
    frames: int = Field(description="That were scored, after resampling, without padding.")
    decoded_frames: int = Field(description="That the video shows.")
    fps: float
    width: int
    height: int
    codec: str


class Timings(BaseModel):
    """Milliseconds. `total` begins with the request's head, so it holds the upload too."""

    decode: float
    queue: float
    inference: float
    total: float


class ScoreAnswer(BaseModel):
    """`baseline` + the sum of all `contribution` = `score`, in points."""

    request_id: str
    action: str
    score: float = Field(description="Predicted, as it would be announced.")
    difficulty: float | None
    execution: float | None = Field(
        description="Predicted, or else from score and difficulty; null without a difficulty."
    )
    scored_by: ScoredBy = Field(
        description="What the score rests on: with a declared difficulty, and a checkpoint that"
        " predicts the execution, that and the difficulty; else the video alone."
    )
    interval: IntervalAnswer | None = Field(description="Null if not calibrated.")
    baseline: float = Field(description="The score when nothing is shown.")
    fragments: list[FragmentAnswer]
    needs_review: bool = Field(description="A person should look before the score is used.")
    review_reasons: list[ReviewReason]
    warnings: list[ClipWarning | ScoreWarning]
    panel: PanelAnswer | None = Field(default=None, description="With `marks` only.")
    checkpoint: CheckpointUsed
    clip: ClipAnswer
    timings_ms: Timings

    _repeated: bool = PrivateAttr(False)

    @property
    def is_repeated(self) -> bool:
        """Whether it was found in the result cache."""
        return self._repeated

    def repeated(self, request_id: str, timings: Timings) -> "ScoreAnswer":
        """The same answer to another request."""
        answer = self.model_copy(update={"request_id": request_id, "timings_ms": timings})
        answer._repeated = True
        return answer

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": "5f0c7d9ab1c34b7e9b1f0a4d2c6e8f10",
                    "action": "diving",
                    "score": 84.15,
                    "difficulty": 3.3,
                    "execution": 25.5,
                    "scored_by": "video and difficulty",
                    "interval": {"low": 78.9, "high": 89.2, "coverage": 0.9},
                    "baseline": 61.0,
                    "fragments": [
                        {
                            "index": 0,
                            "stage": "start",
                            "start_s": 0.0,
                            "end_s": 0.533,
                            "blank": False,
                            "contribution": 23.15,
                            "alone": 84.15,
                            "without": 61.0,
                        }
                    ],
                    "needs_review": False,
                    "review_reasons": [],
                    "warnings": [],
                    "checkpoint": {
                        "name": "diving",
                        "version": 1,
                        "sha256": "9f86d081884c7d659a2feaa0c55ad015…",
                        "trained_on": "both",
                        "engine": "openvino",
                    },
                    "clip": {
                        "sha256": "2c26b46b68ffc68ff99b453c1d304134…",
                        "frames": 151,
                        "decoded_frames": 151,
                        "fps": 30.0,
                        "width": 320,
                        "height": 240,
                        "codec": "h264",
                    },
                    "timings_ms": {"decode": 61.2, "queue": 0.4, "inference": 92.7, "total": 158.9},
                }
            ]
        }
    )


class CheckpointSummary(BaseModel):
    name: str
    version: int
    current: bool = Field(description="Whether the bare name means this version.")
    action: str
    trained_on: TrainedOn
    sha256: str
    engine: str
    created: datetime
    target: Target = Field(
        description="What it predicts. `both`: the execution where a difficulty is declared, else"
        " the final score. `execution` needs a difficulty with each request."
    )
    difficulty_rule: DifficultyRule
    score_range: tuple[float, float] = Field(description="Nominal, points. Scores may leave it.")
    seconds: float = Field(description="Length of the clip that is scored.")
    stages: list[str]
    stage_of_fragment: list[str | None]


class CheckpointDetail(CheckpointSummary):
    """The card: where the checkpoint comes from and how far to trust it."""

    description: str
    licence: str
    metrics: dict[str, Any]
    splits: dict[str, int]
    judged_mean: float
    judged_deviation: float
    training: dict[str, Any]
    calibrated: bool
    spec: dict[str, Any]
    network: dict[str, Any]
    versions: dict[str, str]
    golden_error: float = Field(
        description="Points that the golden clip was off when this service started."
    )


class UnusableCheckpoint(BaseModel):
    """In the store, and damaged, unreadable or unable to run here."""

    reference: str = Field(description="`name@version`; the name where no version is known.")
    reason: str


class CheckpointList(BaseModel):
    default: str = Field(description="What a request that names none gets.")
    checkpoints: list[CheckpointSummary]
    unusable: list[UnusableCheckpoint] = Field(description="What the others are served without.")


class ReloadAnswer(CheckpointList):
    loaded: list[str] = Field(description="What is new, `name@version`.")
    released: list[str] = Field(description="What is served no longer.")


class Health(BaseModel):
    status: Literal["ok", "ready"]
    unusable: list[str] = Field(
        [], description="Checkpoints of the store that cannot be used; left out if there are none."
    )


class WrongParameter(BaseModel):
    name: str
    reason: str


class ProblemAnswer(BaseModel):
    """RFC 9457, `application/problem+json`."""

    type: str = Field(description="Never changes its meaning: /problems/…")
    title: str
    status: int
    detail: str | None
    request_id: str | None
    errors: list[WrongParameter] | None = Field(None, description="For /problems/invalid-parameter")
    retry_after_s: int | None = Field(None, description="For /problems/queue-full")
