"""
The card: everything that must be known of a checkpoint to use it, and to trust it.

Strict both ways: an unknown or missing field is an error, no default fills one in.
`training.release.publish` composes it, `checkpoint.save_checkpoint` writes it as `card.json`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

from model_store.clip_warning import ClipWarning
from model_store.network_spec import NetworkSpec
from model_store.spec import NAME_PATTERN, ClipSpec

HASH_DIGITS = 16  # of a clip's SHA-256 on the card: two of 3,000 clips share them once in 1e12

TrainedOn = Literal["simulated", "real", "both"]
CLIPS_OF: dict[TrainedOn, str] = {
    "simulated": "simulated",
    "real": "real",
    "both": "real and simulated",
}
ClipHash = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")]


def group_hash(name: str) -> str:
    """Hash of what several clips share, an athlete or a meet: the card has no names of people."""
    return hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]


def _clip_spec(value: Any) -> ClipSpec:
    return value if isinstance(value, ClipSpec) else ClipSpec.from_json(value)


def _network_spec(value: Any) -> NetworkSpec:
    return value if isinstance(value, NetworkSpec) else NetworkSpec.from_json(value)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataCard(_Strict):
    """What the checkpoint was trained on."""

    trained_on: TrainedOn
    description: str
    licence: str
    judged_mean: float
    """Mean judged score of the training split, points: what "always the mean" answers."""
    judged_deviation: float = Field(ge=0)
    """Standard deviation of the same, points."""


class TrainingCard(_Strict):
    """How it was trained, so that someone else can do it again."""

    commands: list[str]
    seed: int
    hours: float = Field(ge=0)
    machine: str
    options: dict[str, Any]


class ClipsCard(_Strict):
    """Which clips made the checkpoint, each by the first digits of the SHA-256 of its bytes.

    The clips of the checkpoints and extractors that training began with are among them. A clip has
    one role.
    """

    training: list[ClipHash]
    validation: list[ClipHash]
    """They measured the weights during training, or chose between them."""
    calibration: list[ClipHash]
    groups: list[ClipHash]
    """Hashes of the names of the training clips' groups; a new clip of one is not quite new."""
    unlisted: dict[str, TrainedOn]
    """What else training began with, of which no hashes are kept: checkpoints, files."""

    @classmethod
    def of(
        cls,
        *,
        training: Iterable[str] = (),
        validation: Iterable[str] = (),
        calibration: Iterable[str] = (),
        groups: Iterable[str] = (),
        unlisted: Mapping[str, TrainedOn] = MappingProxyType({}),
    ) -> "ClipsCard":
        """From hashes of any length; of two roles of a clip the first one counts.

        `groups` are `group_hash`es.
        """
        trained, chosen, calibrated = (
            {each[:HASH_DIGITS] for each in hashes}
            for hashes in (training, validation, calibration)
        )
        return cls(
            training=sorted(trained),
            validation=sorted(chosen - trained),
            calibration=sorted(calibrated - trained - chosen),
            groups=sorted({*groups}),
            unlisted=dict(unlisted),
        )

    def trained_on(
        self,
        training: Iterable[str],
        validation: Iterable[str] = (),
        *,
        groups: Iterable[str] = (),
    ) -> "ClipsCard":
        """The clips of weights that were trained further, from these, and are not calibrated."""
        return ClipsCard.of(
            training=[*self.training, *training],
            validation=[*self.validation, *validation],
            groups=[*self.groups, *groups],
            unlisted=self.unlisted,
        )


class Card(_Strict):
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    created: datetime
    spec: Annotated[
        ClipSpec, PlainValidator(_clip_spec), PlainSerializer(ClipSpec.to_json, return_type=dict)
    ]
    network: Annotated[
        NetworkSpec,
        PlainValidator(_network_spec),
        PlainSerializer(NetworkSpec.to_json, return_type=dict),
    ]
    stage_of_fragment: list[str | None]
    """For each fragment the stage that holds most of its frames over the training clips."""
    data: DataCard
    training: TrainingCard
    splits: dict[str, int]
    """Clips a split: train, validation, calibration, test."""
    clips: ClipsCard
    """Those that it has seen, so that measuring or calibrating on one of them is noticed."""
    metrics: dict[str, Any]
    """What `python -m training evaluate` measured, and on what."""
    moved_by: dict[ClipWarning, Annotated[float, Field(ge=0)]]
    """Points by which the announced score moves at most, for a share `coverage` of clips, when they
    are stored in the way that the warning names; as `evaluate --storage` measured it."""
    calibration: dict[str, Any] | None
    """What the interval and familiarity need; None for a checkpoint that was not calibrated."""
    versions: dict[str, str]
    """Libraries that made it: torch, av, FFmpeg, …"""

    @property
    def action(self) -> str:
        return self.spec.action

    def points_moved_by(self, warnings: Collection[ClipWarning]) -> float:
        """Points by which a score with these warnings may have moved: the largest counts."""
        return max((self.moved_by.get(warning, 0.0) for warning in warnings), default=0.0)

    @model_validator(mode="after")
    def _fits(self) -> "Card":
        if len(self.stage_of_fragment) != self.spec.fragments:
            raise ValueError(
                f"stage_of_fragment names {len(self.stage_of_fragment)} fragments,"
                f" the clip has {self.spec.fragments}"
            )
        if unknown := set(self.stage_of_fragment) - {*self.spec.stages, None}:
            raise ValueError(f"stage_of_fragment has unknown stages {sorted(map(str, unknown))}")
        return self
