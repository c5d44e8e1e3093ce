"""Checkpoints on the wire: what is loaded, the card of one, and what a reload has changed."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from model_store.card import TrainedOn
from model_store.network_spec import Target
from model_store.spec import DifficultyRule
from service.scoring.checkpoints import LoadedCheckpoint, LoadedCheckpoints, ReloadOutcome


class CheckpointUsed(BaseModel):
    name: str
    version: int
    sha256: str = Field(description="Of the checkpoint's manifest, hence of all of it.")
    trained_on: TrainedOn
    engine: str


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
    can_find: bool = Field(description="Whether `find` works for it.")
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
    keeps_clips: bool = Field(description="Whether `keep` and `/clips` can be used.")


class ReloadAnswer(CheckpointList):
    loaded: list[str] = Field(description="What is new, `name@version`.")
    released: list[str] = Field(description="What is served no longer.")


def checkpoint_used(loaded: LoadedCheckpoint) -> CheckpointUsed:
    return CheckpointUsed(**asdict(loaded.identity), engine=loaded.engine)


def checkpoint_detail(loaded: LoadedCheckpoint) -> CheckpointDetail:
    card = loaded.card
    fields = {"metrics", "splits", "training", "spec", "network", "versions"}
    data = {"description", "licence", "judged_mean", "judged_deviation"}
    return CheckpointDetail(
        **_summary(loaded),
        **card.model_dump(include=fields),
        **card.data.model_dump(include=data),
        calibrated=card.calibration is not None,
        golden_error=loaded.golden_error,
    )


def checkpoint_list(checkpoints: LoadedCheckpoints, *, keeps_clips: bool) -> CheckpointList:
    return CheckpointList(
        default=checkpoints.default,
        checkpoints=[CheckpointSummary(**_summary(loaded)) for loaded in checkpoints.all()],
        unusable=[
            UnusableCheckpoint(reference=reference, reason=reason)
            for reference, reason in sorted(checkpoints.unusable.items())
        ],
        keeps_clips=keeps_clips,
    )


def reload_answer(outcome: ReloadOutcome, loaded: CheckpointList) -> ReloadAnswer:
    return ReloadAnswer(**dict(loaded), **asdict(outcome))


def _summary(loaded: LoadedCheckpoint) -> dict[str, Any]:
    card, spec = loaded.card, loaded.spec
    return {
        **asdict(loaded.identity),
        "engine": loaded.engine,
        "current": loaded.current,
        "action": card.action,
        "created": card.created,
        "target": card.network.target,
        "difficulty_rule": spec.difficulty_rule,
        "score_range": spec.score_range,
        "seconds": float(spec.frames / spec.fps),
        "can_find": loaded.can_find,
        "stages": list(spec.stages),
        "stage_of_fragment": card.stage_of_fragment,
    }
