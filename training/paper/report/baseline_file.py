"""
A JSON file of `baseline`: what another method reached on a data set.

    method, data, spearman, mean_distance, clips    needed
    folds                  of a cross-validation (`baseline --folds`); else it is of the test split
    scores: judged, predicted    points, a value a clip that measures: gives an interval
    scores: sha256         which clip that is, by its bytes
    scores: fold           which fold held it out, 0…folds − 1

The rule: where the file says which clips measured it, they must be those that measure the runs that
it stands beside, judged as now and held out by the same folds.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes
from training.errors import DataError, RunError
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
    """That measure."""
    rank: Estimate | None = None
    """The Spearman with its interval, where the file has every clip's `scores`."""
    folds: int | None = None
    """Of a cross-validation; None: measured on the test split."""
    judged: dict[str, tuple[float, int | None]] = field(default_factory=dict)
    """By hash the score of every clip that measures, points, and the fold that held it out; empty
    where the file does not say."""

    def check_measured_as(
        self, clips: Sequence[JudgedClip], fold: NDArray[np.int64] | None, what: str
    ) -> None:
        """See that it is measured on these clips, of which each was held out by its fold (N,).

        `what` names the runs that are measured so. Raises RunError.
        """
        if not self.judged:
            return
        folds = [None] * len(clips) if fold is None else fold.tolist()
        hashes = clip_hashes(clips)
        others = {
            digest: (clip.score, held)
            for digest, clip, held in zip(hashes, clips, folds, strict=True)
        }
        if self.judged != others:
            odd = dict(self.judged.items() ^ others.items())
            names = {d: clip.path.name for d, clip in zip(hashes, clips, strict=True)}
            some = ", ".join(names.get(digest, f"{digest[:8]}…") for digest in sorted(odd)[:3])
            raise RunError(
                f"baseline {self.method} and {what} are measured on other clips, scores or folds:"
                f" {len(odd)} clips differ, as {some}"
            )


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
            folds=None if values.get("folds") is None else int(values["folds"]),
            judged=_judged(values.get("scores", {})),
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


def _judged(scores: dict[str, list[Any]]) -> dict[str, tuple[float, int | None]]:
    """By hash, where there are any."""
    if "sha256" not in scores:
        return {}
    hashes = scores["sha256"]
    folds = scores.get("fold", [None] * len(hashes))
    return {
        str(digest): (float(score), None if fold is None else int(fold))
        for digest, score, fold in zip(hashes, scores["judged"], folds, strict=True)
    }
