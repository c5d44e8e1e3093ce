"""A JSON file of `baseline`: what another method reached on a data set."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import DataError
from training.measure.bootstrap import Estimate, estimate
from training.metrics import spearman

NEEDED = ("method", "data", "spearman", "mean_distance", "clips")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    method: str
    data: tuple[str, ...]
    """The data set's folders."""
    kind: str | None = None
    """Their layout, and the action; None where the file does not say."""
    action: str | None = None
    spearman: float
    mean_distance: float
    """Points."""
    clips: int
    """Test clips."""
    rank: Estimate | None = None
    """The Spearman with its interval, where the file has every clip's `scores`."""


def read_baseline(path: Path) -> Baseline:
    """Further fields are left alone.   Raises DataError."""
    try:
        values: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(values, dict) or (missing := [n for n in NEEDED if n not in values]):
        lacks = "is not an object" if not isinstance(values, dict) else f"lacks {missing}"
        raise DataError(f"{path} {lacks}, need {', '.join(NEEDED)}")
    data = values["data"]
    try:
        baseline = Baseline(
            method=str(values["method"]),
            data=(data,) if isinstance(data, str) else tuple(map(str, data)),
            kind=values.get("kind"),
            action=values.get("action"),
            spearman=float(values["spearman"]),
            mean_distance=float(values["mean_distance"]),
            clips=int(values["clips"]),
            rank=_rank(values["scores"]) if "scores" in values else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    if not (math.isfinite(baseline.spearman) and math.isfinite(baseline.mean_distance)):
        raise DataError(f"{path} has figures that are not finite")
    return baseline


def _rank(scores: dict[str, list[float]]) -> Estimate:
    """From `judged` and `predicted`, a number a clip each."""
    judged = np.array(scores["judged"], np.float64)
    predicted = np.array(scores["predicted"], np.float64)
    if judged.ndim != 1 or judged.shape != predicted.shape:
        raise ValueError(f"scores of {judged.shape} and {predicted.shape} clips, need as many")
    return estimate(spearman, predicted[None], judged)
