"""The form of `POST /score`, and its answer. Names here are a contract with clients."""

from dataclasses import asdict
from enum import StrEnum
from typing import Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from model_store.assessment import ScoreWarning
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.found_routine import Span
from model_store.judging.difficulty import ScoredBy
from model_store.judging.dive_difficulty import DeclaredDive
from model_store.judging.panel import Panel
from service.http.wire.checkpoints import CheckpointUsed
from service.http.wire.dive import DIVE, HEIGHT, DiveAnswer, dive_answer
from service.http.wire.fields import REFERENCE, Number
from service.http.wire.panel import PanelAnswer, panel_answer
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.scored_clip import ClipToScore, ScoredClip


class ArchiveWarning(StrEnum):
    """What became of the wish to keep a clip."""

    NOT_KEPT = "not_kept"


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
    dive: str | None = Field(None, description=DIVE)
    height: Number | None = Field(None, description=HEIGHT)
    start_s: Number | None = Field(
        None, ge=0, description="Where the routine begins, seconds of the file."
    )
    end_s: Number | None = Field(None, gt=0, description="Where it ends, seconds of the file.")
    find: bool = Field(
        False,
        description="Look for the routine in a longer recording, or in the part of it between"
        " `start_s` and `end_s`; see `found_s`.",
    )
    marks: str | None = Field(
        None,
        description="The panel's, to check: `8.5,8,8,8.5,9,8,8`, or with spaces. Needs the"
        " difficulty, or the dive.",
    )
    deductions: Number | None = Field(
        None, description="Neutral ones of the panel, points; vault only."
    )
    include: Literal["frames"] | None = Field(
        None, description="`frames`: also one JPEG a fragment, as scored."
    )
    keep: bool = Field(
        False,
        description="Keep the clip, its answer and the marks in the operator's archive, where there"
        " is one.",
    )

    def clip_to_score(
        self,
        checkpoint: LoadedCheckpoint,
        received: float,
        client: str,
        difficulty: float | None,
    ) -> ClipToScore:
        """`difficulty` is the one declared, by its number or by that of the dive."""
        return ClipToScore(
            upload=self.clip.file,
            checkpoint=checkpoint,
            received=received,
            client=client,
            difficulty=difficulty,
            start_s=self.start_s,
            end_s=self.end_s,
            find=self.find,
            wants_fragment_jpegs=self.include == "frames",
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
    standard_error: float | None = Field(
        None, description="Of a contribution that is estimated, not exact; left out otherwise."
    )
    jpeg: str | None = Field(
        None, description="Its middle frame as scored, base64; with `include=frames` only."
    )


class IntervalAnswer(BaseModel):
    """Where the judged score is expected, points, for a share `coverage` of such clips."""

    low: float
    high: float
    coverage: float


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
    dive: DiveAnswer | None = Field(description="With `dive` and `height` only.")
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
    warnings: list[ClipWarning | ScoreWarning | ArchiveWarning]
    kept: bool = Field(description="Whether the clip is in the archive now, as asked by `keep`.")
    found_s: Span | None = Field(
        description="With `find`: where the routine was found, seconds of the file; as `start_s`"
        " and `end_s` they give the same score."
    )
    second_choice_s: Span | None = Field(
        description="With `find`: the next best part of the recording; null if there is none."
    )
    panel: PanelAnswer | None = Field(default=None, description="With `marks` only.")
    checkpoint: CheckpointUsed
    clip: ClipAnswer
    timings_ms: Timings

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": "5f0c7d9ab1c34b7e9b1f0a4d2c6e8f10",
                    "action": "diving",
                    "score": 84.15,
                    "difficulty": 3.3,
                    "dive": None,
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
                    "found_s": None,
                    "second_choice_s": None,
                    "kept": False,
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


def score_answer(
    scored: ScoredClip,
    request_id: str,
    panel: Panel | None = None,
    dive: DeclaredDive | None = None,
    *,
    kept: bool | None = None,
) -> ScoreAnswer:
    """`panel` is the one to check against the score, if marks came with the clip; `dive` the dive,
    if it was named; `kept` whether the clip is kept, None where nobody asked for it.
    """
    known = scored.assessment
    fields = known.to_json()
    fields["checkpoint"]["engine"] = scored.engine
    fields["kept"] = bool(kept)
    if kept is False:
        fields["warnings"] = [*fields["warnings"], ArchiveWarning.NOT_KEPT]
    for fragment, jpeg in zip(fields["fragments"], scored.fragment_jpegs or [], strict=False):
        fragment["jpeg"] = jpeg
    if panel is not None:
        fields["panel"] = panel_answer(panel, known.score, known.interval, dive)
    taken = asdict(scored.stage_seconds)
    timings = Timings(**{name: round(1e3 * seconds, 2) for name, seconds in taken.items()})
    return ScoreAnswer(**fields, dive=dive_answer(dive), request_id=request_id, timings_ms=timings)
