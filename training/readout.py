"""
Fits the head's linear path to judged scores in closed form: what few clips can teach safely.

    score = a · head + w · (mean features − their mean) + c

Of a network with several outputs each gets a line of its own, in its unit: this is about one.
`head` is what the head says already: the base's prediction, or nothing for a new one. The ridge
penalty on w and whether the head is listened to are chosen by cross-validation on the training
clips, so that the result is at best better than both, and at worst the better one of: the base
brought to the clips' scale (w = 0), a ridge regression on its features (a = 0). What a head says of
the clips that taught it is too good to choose by: a fit that listens to it must not have them.

The rule: a blank fragment counts as an average one. The direction from what black frames give to
the mean feature is taken out of w, so that blanking a fragment moves the linear path by what makes
the fragment differ from others, and a clip of which nothing is seen gets the mean.

Shapes: V variants of N clips, K fragments used, D feature channels, P = K·D.

[Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from model_store.network import Head
from training.errors import DataError

Floats = NDArray[np.float64]

PENALTIES = (*np.logspace(1, 5.5, 16), np.inf)  # of w, for inputs of unit variance
FOLDS = 5  # or fewer, where there are fewer groups
FEWEST, FEWEST_GROUPS = 8, 3  # training clips
LEAST_DEVIATION = 0.05  # of a feature, as a share of the mean one: what hardly varies stays small


@dataclass(frozen=True, slots=True)
class Rows:
    """Clips in several variants, and one output for them."""

    features: Floats
    """(V, N, K, D) means over the picture."""
    shown: NDArray[np.bool_]
    """(V, N, K)"""
    head: Floats
    """(V, N): what the head predicts by itself, in its unit; another output's is as good."""
    judged: Floats
    """(V, N), in the output's unit."""
    factor: Floats
    """(N,) points of the announced score for one of the output's unit: errors count in those."""
    groups: NDArray[np.int64]
    """(N,): clips that stay together."""

    def of(self, clips: NDArray[np.int64]) -> "Rows":
        """Those of these clips, in the order given."""
        return Rows(
            features=self.features[:, clips],
            shown=self.shown[:, clips],
            head=self.head[:, clips],
            judged=self.judged[:, clips],
            factor=self.factor[clips],
            groups=self.groups[clips],
        )


@dataclass(frozen=True, slots=True)
class Readout:
    """The fitted line, in the units of the features."""

    scale: float
    """a"""
    weights: Floats
    """w, (K, D), the output's unit for one of a feature."""
    constant: float
    """c − w · mean, in the output's unit."""
    penalty: float
    """Ridge penalty that was chosen; infinite where w is 0."""

    def predict(self, features: Floats, head: Floats) -> Floats:
        """(…, K, D), (…) -> (…), in the output's unit"""
        line: Floats = np.einsum("...kd,kd->...", features, self.weights)
        return self.scale * head + line + self.constant

    def put_into(self, head: Head, output: int = 0) -> None:
        """Make it part of a head; a path that is there already is scaled with the rest."""
        with torch.no_grad():
            if head.readout is not None:
                path = head.readout[output]  # (D, T')
                frames = path.shape[1] // len(self.weights)  # T' feature frames a fragment
                line = torch.from_numpy(self.weights).to(path) / frames  # (K, D)
                path.mul_(self.scale).add_(line.repeat_interleave(frames, dim=0).T)
            head.out.weight[output].mul_(self.scale)
            head.out.bias[output].mul_(self.scale)
            head.baseline[output].mul_(self.scale).add_(self.constant)


def fit(rows: Rows, blank: Floats, *, listen: bool | None = None) -> Readout:
    """The line that predicts clips best that it was not fitted to; `blank` is (K, D).

    `listen` False leaves the head out: a plain ridge regression. True listens to it in any case,
    None where that predicts better. Raises DataError for too few clips.
    """
    if not enough(rows):
        raise DataError(too_few(rows))
    centring = Centring.of(rows, blank)
    inputs = centring(rows)  # (V, N, P)
    errors = {
        heard: _errors(inputs, rows, heard) for heard in (True, False) if listen in (None, heard)
    }
    heard = min(errors, key=lambda choice: float(errors[choice].mean(axis=0).min()))
    penalty = _largest_as_good(errors[heard]) if heard else _best(errors[heard])
    [line] = _lines(inputs, rows, heard, [penalty])
    return centring.undo(line, penalty)


def enough(rows: Rows) -> bool:
    """Whether a line can be fitted to them."""
    return len(rows.groups) >= FEWEST and len(np.unique(rows.groups)) >= FEWEST_GROUPS


def too_few(rows: Rows) -> str:
    return (
        f"{len(rows.groups)} training clips of {len(np.unique(rows.groups))} groups, need at least"
        f" {FEWEST} of {FEWEST_GROUPS} to fit a line"
    )


def rescaled(rows: Rows) -> Readout:
    """The head alone, brought to the scale of the scores without a change of its order."""
    head, judged, counts = rows.head.ravel(), rows.judged.ravel(), _counts(rows).ravel()
    scale, constant = np.polyfit(head, judged, 1, w=counts) if np.ptp(head) else (0.0, 0.0)
    if scale <= 0:  # it would be turned round; then it is not worth listening to
        scale, constant = 0.0, float(np.average(judged, weights=counts**2))
    weights = np.zeros(rows.features.shape[2:])
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
        seen = rows.shown[..., None].astype(np.float64)  # (V, N, K, 1)
        count = np.maximum(seen.sum(axis=(0, 1)), 1)  # (K, 1)
        mean = (rows.features * seen).sum(axis=(0, 1)) / count
        away = mean - blank
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
        varying = without(rows.features - mean, away) * seen
        deviation = np.sqrt((varying**2).sum(axis=(0, 1)) / count)
        return cls(mean, np.maximum(deviation, LEAST_DEVIATION * deviation.mean() + 1e-12), away)

    def __call__(self, rows: Rows) -> Floats:
        """(V, N, P)"""
        varying = without(rows.features - self.mean, self.away) * rows.shown[..., None]
        inputs: Floats = (varying / self.deviation).reshape(*rows.head.shape, -1)
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


def _lines(inputs: Floats, rows: Rows, heard: bool, penalties: Sequence[float]) -> list[Line]:
    """Ridge regressions on (V, N, P), one a penalty; scale and constant go unpenalised."""
    counts = _counts(rows).ravel()
    x, judged = inputs.reshape(-1, inputs.shape[2]) * counts[:, None], rows.judged.ravel() * counts
    free = np.stack([counts, counts * rows.head.ravel()] if heard else [counts], axis=1)
    solve = np.linalg.pinv(free)
    # What scale and constant explain of inputs and judgements.
    by_free, mean = solve @ x, solve @ judged
    left, size, right = np.linalg.svd(x - free @ by_free, full_matrices=False)
    share = left.T @ (judged - free @ mean)
    lines = []
    for penalty in penalties:
        weights = right.T @ (size / (size**2 + penalty) * share)
        constant, *scale = mean - by_free @ weights
        lines.append(Line(float(scale[0]) if scale else 0.0, float(constant), weights))
    if heard and any(line.scale < 0 for line in lines):  # a head that is turned round says nothing
        deaf = _lines(inputs, rows, False, penalties)
        lines = [b if a.scale < 0 else a for a, b in zip(lines, deaf, strict=True)]
    return lines


def _counts(rows: Rows) -> Floats:
    """(V, N): how much an error of a clip counts, 1 where all clips' do alike."""
    size = np.sqrt((rows.factor**2).mean())
    counts: Floats = np.broadcast_to(rows.factor / size, rows.head.shape)
    return counts


def _errors(inputs: Floats, rows: Rows, heard: bool) -> Floats:
    """(groups, penalties): squared error of each group by lines that were fitted without it."""
    squares = np.zeros((len(rows.groups), len(PENALTIES)))
    _, group = np.unique(rows.groups, return_inverse=True)
    sizes = np.bincount(group)
    folds = GroupKFold(min(FOLDS, len(sizes)), shuffle=True, random_state=0)
    for learnt, held in folds.split(group, groups=group):
        lines = _lines(inputs[:, learnt], rows.of(learnt), heard, PENALTIES)
        for column, line in enumerate(lines):
            predicted = line(inputs[:, held], rows.head[:, held])
            off = (predicted - rows.judged[:, held]) * rows.factor[held]  # points
            squares[held, column] = (off**2).mean(axis=0)
    sums = np.zeros((len(sizes), len(PENALTIES)))
    np.add.at(sums, group, squares)
    means: Floats = sums / sizes[:, None]
    return means


def _largest_as_good(errors: Floats) -> float:
    """The largest penalty whose error is within a standard error of the least, paired by group.

    (groups, penalties) squared errors. What is not surely better than the head is not worth a
    wilder line.   [Breiman84 §3.4.3]
    """
    best = int(errors.mean(axis=0).argmin())
    worse = errors - errors[:, best : best + 1]  # (groups, penalties)
    allowed = worse.std(axis=0, ddof=1) / np.sqrt(len(errors))
    return float(max(np.array(PENALTIES)[worse.mean(axis=0) <= allowed]))


def _best(errors: Floats) -> float:
    """The finite penalty of least error: without a head an infinite one would leave the mean."""
    return float(PENALTIES[int(errors.mean(axis=0)[:-1].argmin())])
