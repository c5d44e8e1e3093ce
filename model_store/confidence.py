"""
How far to trust a score: an interval, and whether the clip is of the kind the network knows.

Each output of the network has an interval, in its own points; familiarity is the clip's.

The interval is split-conformal with normalised residuals: score ± quantile · spread(clip), where
the spread is predicted from the clip's features and the quantile comes from calibration clips that
were used for nothing else. Its promise: over clips like the calibration clips, the judged score
lies inside for a share `coverage` of them, whatever the network does.   [Lei18, §5.2]

Familiarity is the Mahalanobis distance of the clip's pooled features to those of the training
clips; beyond the calibration clips' 99th percentile a clip is unfamiliar.   [Lee18]

Shapes: B clips, P = K · D pooled features.

[Lei18] J. Lei et al. Distribution-Free Predictive Inference for Regression. JASA 2018.
[Lee18] K. Lee et al. A Simple Unified Framework for Detecting Out-of-Distribution Samples and
        Adversarial Attacks. NeurIPS 2018.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from model_store.clip_warning import ClipWarning
from model_store.errors import CheckpointIncompatible
from model_store.judging.interval import Interval
from model_store.network_spec import Output

Floats = NDArray[np.float32]

PREFIX = "confidence."  # of the arrays' names in weights.safetensors
_NUMBERS = ("coverage", "quantile", "width_limit", "spread_range")  # of an output, on the card


class ReviewReason(StrEnum):
    """Why a person should look before using the score."""

    NOT_CALIBRATED = "not_calibrated"  # the checkpoint has no measure of how sure it is
    UNFAMILIAR = "unfamiliar_clip"  # not of the kind the network was trained on
    WIDE_INTERVAL = "wide_interval"  # wider than the card's limit
    MOSTLY_BLANK = "mostly_blank"  # half of the fragments or more: the clip is short, or dark
    TRIMMED = "trimmed"  # longer than the network looks; its beginning was left out
    DECODE_ERRORS = "decode_errors"  # damaged or cut off
    TIMES_ASSUMED = "times_assumed"  # its speed is a guess
    CLOCK_JUMP = "clock_jump"  # there is a cut in the recording, of unknown length
    SLOW_MOTION = "slow_motion"  # it shows more time than passed
    TIME_LAPSE = "time_lapse"  # it shows less time than passed
    FEW_PICTURES = "few_pictures"  # stills, or far fewer pictures a second than usual
    SIZE_CHANGES = "size_changes"  # it may be another view from there on
    COLOURS_GUESSED = "colours_guessed"  # the file does not state what its colours are
    NO_ROUTINE = "no_routine"  # what was found does not look like a routine
    SEVERAL_ROUTINES = "several_routines"  # it may be another one that should be scored


REVIEWED: Mapping[ClipWarning, ReviewReason] = {
    ClipWarning.TRIMMED: ReviewReason.TRIMMED,
    ClipWarning.TRUNCATED: ReviewReason.DECODE_ERRORS,
    ClipWarning.DECODE_ERRORS: ReviewReason.DECODE_ERRORS,
    ClipWarning.TIMES_ASSUMED: ReviewReason.TIMES_ASSUMED,
    ClipWarning.CLOCK_JUMP: ReviewReason.CLOCK_JUMP,
    ClipWarning.SLOW_MOTION: ReviewReason.SLOW_MOTION,
    ClipWarning.TIME_LAPSE: ReviewReason.TIME_LAPSE,
    ClipWarning.FEW_PICTURES: ReviewReason.FEW_PICTURES,
    ClipWarning.SIZE_CHANGES: ReviewReason.SIZE_CHANGES,
    ClipWarning.HDR: ReviewReason.COLOURS_GUESSED,
    ClipWarning.NO_ROUTINE: ReviewReason.NO_ROUTINE,
    ClipWarning.SEVERAL_ROUTINES: ReviewReason.SEVERAL_ROUTINES,
}
"""The warnings that ask a person to look, and the reason that the answer gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """How far off one output may be, in its own points."""

    coverage: float
    """Share of judged values inside the interval, 0…1."""
    quantile: float
    """Of |residual| / spread over the calibration clips."""
    width_limit: float
    """A wider interval needs review."""
    spread_range: tuple[float, float]
    """The predicted spread is kept inside, as seen over the calibration clips."""
    spread_weights: Floats
    """(3 + M,): log spread = weights · (1, output, distance, first M whitened features)."""

    def spread(self, inputs: Floats) -> Floats:
        """`Confidence.spread_inputs` (B, 3 + M) -> (B,): the predicted size of the residual."""
        low, high = np.log(self.spread_range)
        spread: Floats = np.exp(np.clip(inputs @ self.spread_weights, low, high))
        return spread.astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The statistics of one checkpoint. Arrays live beside its weights, numbers on its card."""

    distance_limit: float
    """99th percentile of `distance` over the calibration clips."""
    mean: Floats
    """(P,) mean pooled feature of the training clips."""
    whitening: Floats
    """(R, P): whitened features have unit covariance over the training clips."""
    outputs: Mapping[Output, Uncertainty]
    """For each output of the network."""

    def whitened(self, pooled: Floats) -> Floats:
        """(B, P) -> (B, R)"""
        return np.asarray((pooled - self.mean) @ self.whitening.T, np.float32)

    def distance(self, pooled: Floats) -> Floats:
        """(B, P) -> (B,): root mean square of the whitened features, about 1 for training clips."""
        squares: Floats = self.whitened(pooled) ** 2
        distance: Floats = np.sqrt(squares.mean(axis=1))
        return distance

    def spread_inputs(self, pooled: Floats, values: Floats, whitened: int) -> Floats:
        """(B, P), an output (B,) -> (B, 3 + M), M = `whitened` leading features."""
        columns = [
            np.ones(len(values), np.float32),
            values,
            self.distance(pooled),
            *self.whitened(pooled)[:, :whitened].T,
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def interval(self, pooled: Floats, output: Output, value: float) -> Interval:
        """(P,) -> the interval around the value of `output`, in its points."""
        of = self.outputs[output]
        values, whitened = np.array([value], np.float32), len(of.spread_weights) - 3
        spread = of.spread(self.spread_inputs(pooled[None], values, whitened))[0]
        half = float(of.quantile * spread)
        return Interval(low=value - half, high=value + half, coverage=of.coverage)

    def trust(self, pooled: Floats, output: Output, value: float) -> "Trust":
        """(P,) and the value of `output` -> how far to trust it."""
        interval = self.interval(pooled, output, value)
        distance = float(self.distance(pooled[None])[0])
        return Trust(
            interval=interval,
            width_limit=self.outputs[output].width_limit,
            distance=distance / self.distance_limit,
        )

    def numbers(self) -> dict[str, Any]:
        """What goes on the card."""
        of_outputs: dict[str, Any] = {
            output: {name: getattr(of, name) for name in _NUMBERS}
            for output, of in self.outputs.items()
        }
        return {"distance_limit": self.distance_limit, **of_outputs}

    def arrays(self) -> dict[str, Floats]:
        """What goes into weights.safetensors."""
        of_outputs = {_weights_of(output): of.spread_weights for output, of in self.outputs.items()}
        return {"mean": self.mean, "whitening": self.whitening, **of_outputs}

    @classmethod
    def from_parts(cls, numbers: dict[str, Any], arrays: dict[str, Floats]) -> "Confidence":
        """The inverse of `numbers` and `arrays`.   Raises CheckpointIncompatible."""
        outputs = [output for output in get_args(Output) if output in numbers]
        _require_names("calibration", numbers, {"distance_limit", *outputs})
        _require_names("calibration", arrays, {"mean", "whitening", *map(_weights_of, outputs)})
        for output in outputs:
            _require_names(f"calibration of {output}", numbers[output], _NUMBERS)
        built = cls(
            distance_limit=numbers["distance_limit"],
            mean=arrays["mean"],
            whitening=arrays["whitening"],
            outputs={
                output: Uncertainty(
                    **numbers[output] | {"spread_range": tuple(numbers[output]["spread_range"])},
                    spread_weights=arrays[_weights_of(output)],
                )
                for output in outputs
            },
        )
        for of in built.outputs.values():
            low, high = of.spread_range
            if not 0 < low <= high or not 0 < of.coverage < 1:
                raise CheckpointIncompatible("the calibration contradicts itself")
        if built.whitening.shape[1] != built.mean.shape[0]:
            raise CheckpointIncompatible("the calibration contradicts itself")
        return built


def _weights_of(output: Output) -> str:
    return f"{output}.spread_weights"


def _require_names(what: str, found: Iterable[str], needed: Iterable[str]) -> None:
    if {*found} != {*needed}:
        raise CheckpointIncompatible(f"{what} has {sorted(found)}, need {sorted(needed)}")


def pool(features: Floats) -> Floats:
    """Mean over time and pixels: (B, K, D, T', H', W') -> (B, K · D)."""
    pooled: Floats = features.mean(axis=(3, 4, 5)).reshape(len(features), -1)
    return pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far to trust one score."""

    interval: Interval
    width_limit: float
    """Points; a wider interval needs review."""
    distance: float
    """Of the clip from the training clips, as a share of the limit."""

    @property
    def wide(self) -> bool:
        """The interval is wider than the card's limit."""
        return self.interval.high - self.interval.low > self.width_limit

    @property
    def unfamiliar(self) -> bool:
        """The clip is not of the kind that the network was trained on."""
        return self.distance > 1

    def scaled(self, factor: float, term: float) -> "Trust":
        return replace(
            self,
            interval=self.interval.scaled(factor, term),
            width_limit=self.width_limit * factor,
        )

    def widened(self, points: float) -> "Trust":
        """With the interval of a score that may have moved by so many points."""
        return replace(self, interval=self.interval.widened(points))


def review_reasons(
    trust: Trust | None, *, blank: Collection[bool], warnings: Collection[ClipWarning]
) -> tuple[ReviewReason, ...]:
    """Everything that should make a person look, in the order of `ReviewReason`."""
    holds = {
        ReviewReason.NOT_CALIBRATED: trust is None,
        ReviewReason.UNFAMILIAR: trust is not None and trust.unfamiliar,
        ReviewReason.WIDE_INTERVAL: trust is not None and trust.wide,
        ReviewReason.MOSTLY_BLANK: 2 * sum(blank) >= len(blank),
    }
    asked = {REVIEWED[warning] for warning in warnings if warning in REVIEWED}
    return tuple(reason for reason in ReviewReason if holds.get(reason) or reason in asked)


def conformal_quantile(ratios: Floats, coverage: float) -> float:
    """The ⌈(n + 1) · coverage⌉-th smallest of n normalised residuals.   [Lei18, alg. 2]"""
    rank = math.ceil((len(ratios) + 1) * coverage)
    if rank > len(ratios):
        need = math.ceil(round(coverage / (1 - coverage), 6))
        raise ValueError(f"{len(ratios)} calibration clips, need at least {need}")
    return float(np.sort(ratios)[rank - 1])
