"""
Fits the head's linear path to judged scores in closed form: what few clips can teach safely.

    score = a · head + w · (mean features − their mean) + c

`head` is what the head says already: the base's prediction, or nothing for a new one. The ridge
penalty on w and whether the head is listened to are chosen by cross-validation on the training
clips, so that the result is at best better than both, and at worst the better one of: the base
brought to the clips' scale (w = 0), a ridge regression on its features (a = 0).

The rule: a blank fragment counts as an average one. The direction from what black frames give to
the mean feature is taken out of w, so that blanking a fragment moves the linear path by what makes
the fragment differ from others, and a clip of which nothing is seen gets the mean.

Shapes: R rows (variants of clips), N clips, K fragments used, D feature channels, P = K·D.

[Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from model_store.network import Head
from training.errors import DataError

Floats = NDArray[np.float64]

PENALTIES = (*np.logspace(1, 5.5, 16), np.inf)  # of w, for inputs of unit variance
FOLDS = 5
FEWEST = 8  # training clips
LEAST_DEVIATION = 0.05  # of a feature, as a share of the mean one: what hardly varies stays small


@dataclass(frozen=True, slots=True)
class Rows:
    """Training clips in several variants; rows of one clip or group share their key."""

    features: Floats
    """(R, K, D) means over the picture."""
    shown: NDArray[np.bool_]
    """(R, K)"""
    head: Floats
    """(R,) points: what the head predicts by itself."""
    judged: Floats
    """(R,) points."""
    groups: NDArray[np.int64]
    """(R,): rows that stay together."""
    clips: NDArray[np.int64]
    """(R,): whose variant a row is; every clip once, then every clip again."""

    def of(self, clips: NDArray[np.int64], variants: int | None = None) -> "Rows":
        """Those of these clips, in the order given, in the first variants or in all of them."""
        each = len(self.clips) // (int(self.clips.max()) + 1)
        count = int(self.clips.max()) + 1
        chosen = np.concatenate([clips + count * v for v in range(variants or each)])
        return Rows(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


@dataclass(frozen=True, slots=True)
class Readout:
    """The fitted line, in the units of the features."""

    scale: float
    """a"""
    weights: Floats
    """w, (K, D) points a unit of a feature."""
    constant: float
    """c − w · mean, points."""
    penalty: float
    """Ridge penalty that was chosen; infinite where w is 0."""

    def predict(self, features: Floats, head: Floats) -> Floats:
        """(R, K, D), (R,) -> (R,) points"""
        line: Floats = np.einsum("rkd,kd->r", features, self.weights)
        return self.scale * head + line + self.constant

    def put_into(self, head: Head) -> None:
        """Make it part of a head; a path that is there already is scaled with the rest."""
        with torch.no_grad():
            if head.readout is not None:
                frames = head.readout.shape[1] // len(self.weights)  # T' feature frames a fragment
                line = torch.from_numpy(self.weights).to(head.readout) / frames  # (K, D)
                head.readout.mul_(self.scale).add_(line.repeat_interleave(frames, dim=0).T)
            head.out.weight.mul_(self.scale)
            head.out.bias.mul_(self.scale)
            head.baseline.mul_(self.scale).add_(self.constant)


def fit(rows: Rows, blank: Floats, *, listen: bool | None = None) -> Readout:
    """The line that predicts clips best that it was not fitted to; `blank` is (K, D).

    `listen` False leaves the head out: a plain ridge regression. True listens to it in any case,
    None where that predicts better. Raises DataError for too few clips.
    """
    clips = len(np.unique(rows.groups))
    if clips < FEWEST:
        raise DataError(
            f"{clips} training clips or groups, need at least {FEWEST} to fit a line to"
        )
    centring = Centring.of(rows, blank)
    inputs = centring(rows)  # (R, P)
    errors = {
        heard: _errors(inputs, rows, heard) for heard in (True, False) if listen in (None, heard)
    }
    heard = min(errors, key=lambda choice: float(errors[choice].mean(axis=0).min()))
    penalty = _largest_as_good(errors[heard]) if heard else _best(errors[heard])
    [line] = _lines(inputs, rows, heard, [penalty])
    return centring.undo(line, penalty)


def rescaled(rows: Rows) -> Readout:
    """The head alone, brought to the scale of the scores without a change of its order."""
    scale, constant = np.polyfit(rows.head, rows.judged, 1) if np.ptp(rows.head) else (0.0, 0.0)
    if scale <= 0:  # it would be turned round; then it is not worth listening to
        scale, constant = 0.0, float(rows.judged.mean())
    weights = np.zeros(rows.features.shape[1:])
    return Readout(float(scale), weights, float(constant), np.inf)


@dataclass(frozen=True, slots=True)
class Line:
    scale: float
    constant: float
    weights: Floats
    """(P,)"""

    def __call__(self, inputs: Floats, head: Floats) -> Floats:
        predicted: Floats = inputs @ self.weights + self.scale * head + self.constant
        return predicted


@dataclass(frozen=True, slots=True)
class Centring:
    """Features (K, D) to inputs of unit variance, P = K·D, that are 0 for blank fragments."""

    mean: Floats
    """(K, D) of shown fragments."""
    deviation: Floats
    """(K, D)"""
    away: Floats
    """(K, D) unit vectors from what black frames give to the mean."""

    @classmethod
    def of(cls, rows: Rows, blank: Floats) -> "Centring":
        seen = rows.shown[..., None].astype(np.float64)  # (R, K, 1)
        count = np.maximum(seen.sum(axis=0), 1)  # (K, 1)
        mean = (rows.features * seen).sum(axis=0) / count
        away = mean - blank
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
        varying = without(rows.features - mean, away) * seen
        deviation = np.sqrt((varying**2).sum(axis=0) / count)
        return cls(mean, np.maximum(deviation, LEAST_DEVIATION * deviation.mean() + 1e-12), away)

    def __call__(self, rows: Rows) -> Floats:
        """(R, P)"""
        varying = without(rows.features - self.mean, self.away) * rows.shown[..., None]
        inputs: Floats = (varying / self.deviation).reshape(len(varying), -1)
        return inputs

    def undo(self, line: Line, penalty: float) -> Readout:
        """The line in the units of the features."""
        weights = without(line.weights.reshape(self.mean.shape) / self.deviation, self.away)
        return Readout(
            scale=line.scale,
            weights=weights,
            constant=line.constant - float((weights * self.mean).sum()),
            penalty=penalty,
        )


def without(vectors: Floats, direction: Floats) -> Floats:
    """What is left of (…, K, D) without its part along the unit vectors (K, D)."""
    along = (vectors * direction).sum(axis=-1, keepdims=True)
    rest: Floats = vectors - along * direction
    return rest


def _lines(
    inputs: Floats, rows: Rows, heard: bool, penalties: Sequence[float], chosen: Any = slice(None)
) -> list[Line]:
    """Ridge regressions of the chosen rows, one a penalty; scale and constant go unpenalised."""
    x, head, judged = inputs[chosen], rows.head[chosen], rows.judged[chosen]
    free = np.stack([np.ones_like(head), head] if heard else [np.ones_like(head)], axis=1)
    solve = np.linalg.pinv(free)
    by_free, mean = (
        solve @ x,
        solve @ judged,
    )  # what scale and constant explain of inputs and points
    left, size, right = np.linalg.svd(x - free @ by_free, full_matrices=False)
    share = left.T @ (judged - free @ mean)
    lines = []
    for penalty in penalties:
        weights = right.T @ (size / (size**2 + penalty) * share)
        constant, *scale = mean - by_free @ weights
        lines.append(Line(float(scale[0]) if scale else 0.0, float(constant), weights))
    if heard and any(line.scale < 0 for line in lines):  # a head that is turned round says nothing
        deaf = _lines(inputs, rows, False, penalties, chosen)
        lines = [b if a.scale < 0 else a for a, b in zip(lines, deaf, strict=True)]
    return lines


def _errors(inputs: Floats, rows: Rows, heard: bool) -> Floats:
    """(clips, penalties): squared error of each clip by lines that were fitted without it."""
    squares = np.zeros((len(inputs), len(PENALTIES)))
    for learnt, held in _folds(rows.groups):
        lines = _lines(inputs, rows, heard, PENALTIES, learnt)
        for column, line in enumerate(lines):
            predicted = line(inputs[held], rows.head[held])
            squares[held, column] = (predicted - rows.judged[held]) ** 2
    _, clip = np.unique(rows.groups, return_inverse=True)
    sums = np.zeros((clip.max() + 1, len(PENALTIES)))
    np.add.at(sums, clip, squares)
    means: Floats = sums / np.bincount(clip)[:, None]
    return means


def _largest_as_good(errors: Floats) -> float:
    """The largest penalty whose error is within a standard error of the least, paired by clip.

    (clips, penalties) squared errors. What is not surely better than the head is not worth a
    wilder line.   [Breiman84 §3.4.3]
    """
    best = int(errors.mean(axis=0).argmin())
    worse = errors - errors[:, best : best + 1]  # (clips, penalties)
    allowed = worse.std(axis=0, ddof=1) / np.sqrt(len(errors))
    return float(max(np.array(PENALTIES)[worse.mean(axis=0) <= allowed]))


def _best(errors: Floats) -> float:
    """The finite penalty of least error: without a head an infinite one would leave the mean."""
    return float(PENALTIES[int(errors.mean(axis=0)[:-1].argmin())])


def _folds(groups: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to learn from and rows held out, in FOLDS ways; a group stays together."""
    yield from GroupKFold(FOLDS, shuffle=True, random_state=0).split(groups, groups=groups)
