"""
All that is known of one scored clip, built in one place: `assess`.

The service and `python -m model_store score` answer with an assessment, so the same clip gets the
same answer from both. How it is written as JSON or as a table is their own.

Shapes: K fragments.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np

from model_store.card import Card, TrainedOn
from model_store.clip import PreparedClip, fragment_span
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason, review_reasons
from model_store.found_routine import Span
from model_store.judging.difficulty import ScoredBy
from model_store.judging.interval import Interval
from model_store.score import Score
from model_store.spec import ClipSpec


class ScoreWarning(StrEnum):
    """What a judge should know about the score itself."""

    ABOVE_RANGE = "score_above_range"  # above what the action nominally allows
    BELOW_RANGE = "score_below_range"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedFragment:
    """One fragment of the clip, and its part in the score."""

    index: int
    """From 0, in order of time."""
    stage: str | None
    """Part of the routine that it mostly shows."""
    start_s: float | None
    """Seconds of the file; None for a blank fragment."""
    end_s: float | None
    blank: bool
    """The clip is shorter than what is scored: this fragment shows nothing."""
    contribution: float
    """Points that seeing it added; exactly 0 if it is blank."""
    alone: float
    """The score when only this fragment is shown."""
    without: float
    """The score when all but this fragment are shown."""
    standard_error: float | None = None
    """Of a contribution that is estimated from a sample; None for an exact one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointIdentity:
    """Which checkpoint gave a score."""

    name: str
    version: int
    sha256: str
    """Of the checkpoint's manifest, hence of everything in it."""
    trained_on: TrainedOn

    @classmethod
    def of(cls, card: Card, sha256: str) -> Self:
        return cls(
            name=card.name, version=card.version, sha256=sha256, trained_on=card.data.trained_on
        )

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """The file that was scored."""

    sha256: str
    frames: int
    """Frames that were scored, after resampling, without padding."""
    decoded_frames: int
    """Frames that the video shows."""
    fps: float
    width: int
    height: int
    codec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A score with everything that belongs to it: `baseline` + Σ `contribution` = `score`."""

    action: str
    score: float
    """Points, as it would be announced."""
    difficulty: float | None
    execution: float | None
    """Predicted, or else from score and difficulty; None without a difficulty."""
    scored_by: ScoredBy
    interval: Interval | None
    """None for a checkpoint that was not calibrated."""
    familiarity: float | None
    """Distance from the training clips, as a share of what is still familiar; None likewise."""
    baseline: float
    """The score when nothing is shown."""
    fragments: tuple[AssessedFragment, ...]
    """K"""
    review_reasons: tuple[ReviewReason, ...]
    warnings: tuple[ClipWarning | ScoreWarning, ...]
    found_s: Span | None
    """Where the routine was found; None where it was not searched for."""
    second_choice_s: Span | None
    """The next best part of the recording, if there is one."""
    checkpoint: CheckpointIdentity
    clip: ClipFacts

    @property
    def needs_review(self) -> bool:
        """Whether a person should look before the score is used."""
        return bool(self.review_reasons)

    def to_json(self) -> dict[str, Any]:
        """All of it by name; a standard error only where there is one."""
        fields = asdict(self) | {"needs_review": self.needs_review}
        for fragment in fields["fragments"]:
            if fragment["standard_error"] is None:
                del fragment["standard_error"]
        return fields


def assess(
    score: Score, clip: PreparedClip, *, card: Card, sha256: str, difficulty: float | None
) -> Assessment:
    """All that follows from the score of a clip and its declared difficulty.

    `card` and `sha256` are those of the checkpoint that gave the score. The interval is widened by
    what the clip's warnings may have moved the score. Raises InvalidDifficulty.
    """
    score = score.with_difficulty(difficulty, card.spec.difficulty_rule)
    score = score.widened(card.points_moved_by(clip.warnings))
    return Assessment(
        action=card.action,
        score=score.score,
        difficulty=score.difficulty,
        execution=score.execution,
        scored_by=score.scored_by,
        interval=score.trust.interval if score.trust else None,
        familiarity=score.trust.distance if score.trust else None,
        baseline=score.baseline,
        fragments=tuple(_fragment(score, clip, card, i) for i in range(card.spec.fragments)),
        review_reasons=review_reasons(score.trust, blank=score.blank, warnings=clip.warnings),
        warnings=(*clip.warnings, *score_warnings(score.score, card.spec)),
        found_s=clip.found.span if clip.found else None,
        second_choice_s=clip.found.second if clip.found else None,
        checkpoint=CheckpointIdentity.of(card, sha256),
        clip=ClipFacts(
            sha256=clip.info.sha256,
            frames=int(np.count_nonzero(~np.isnan(clip.times))),
            decoded_frames=clip.info.decoded_frames,
            fps=clip.info.fps,
            width=clip.info.width,
            height=clip.info.height,
            codec=clip.info.codec,
        ),
    )


def score_warnings(score: float, spec: ClipSpec) -> Sequence[ScoreWarning]:
    """Whether a score, in points, lies outside the nominal range of its action."""
    low, high = spec.score_range
    if score < low:
        return [ScoreWarning.BELOW_RANGE]
    return [ScoreWarning.ABOVE_RANGE] if score > high else []


def _fragment(score: Score, clip: PreparedClip, card: Card, index: int) -> AssessedFragment:
    blank = score.blank[index]
    span = fragment_span(clip, card.spec, index, views=card.network.views)
    start_s, end_s = (None, None) if blank else span
    return AssessedFragment(
        index=index,
        stage=card.stage_of_fragment[index],
        start_s=start_s,
        end_s=end_s,
        blank=blank,
        contribution=score.contribution[index],
        alone=score.alone[index],
        without=score.without[index],
        standard_error=score.standard_error[index] if score.standard_error else None,
    )
