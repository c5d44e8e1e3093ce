"""
Fits the head's linear path to judged scores in closed form: what few clips can teach safely.

    score = a · head + w · (mean features − their mean) + c

Of a network with several outputs each gets a line of its own, in its unit: this is about one.
`head` is what the head predicts already: the base's prediction, or nothing for a new one. The ridge
penalty on w and whether the head is used are chosen by cross-validation on the training
clips, so that the result is at best better than both, and at worst the better one of: the base
brought to the clips' scale (w = 0), a ridge regression on its features (a = 0). Predictions for
the clips that taught the head are too good to choose by: a fit that uses it must not have them.

The rule: a blank fragment counts as an average one. The direction from what black frames give to
the mean feature is taken out of w, so that blanking a fragment moves the linear path by what makes
the fragment differ from others, and a clip of which nothing is seen gets the mean.

Shapes: V variants of N clips, K fragments used, F features of a fragment (every channel at every
place of the picture), P = K·F, O outputs.

[Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.model_selection import GroupKFold

from model_store.network import Head
from training.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PENALTIES = (*np.logspace(1, 5.5, 16), np.inf)  # of w, for inputs of unit variance
FOLDS = 5  # or fewer, where there are fewer groups
FEWEST, FEWEST_GROUPS = 8, 3  # training clips
LEAST_DEVIATION = 0.05  # of a feature, as a share of the mean one: what hardly varies stays small
LEAST_VARYING = 1e-9  # of the head's predictions, as a share of them: else they are all the same


@dataclass(frozen=True, slots=True)
class Rows:
    """Clips in several variants, and one output for them."""

    features: Floats
    """(V, N, K, F)"""
    shown: NDArray[np.bool_]
    """(V, N, K)"""
    head: Floats
    """(V, N): the head's prediction, in the head's own unit.

    The prediction of another output may be used, because the line rescales it.
    """
    judged: Floats
    """(V, N), in the output's unit."""
    factor: Floats
    """(N,) points of the announced score for one of the output's unit: errors count in those."""
    weight: Floats
    """(N,): what a clip's squared error counts."""
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
            weight=self.weight[clips],
            groups=self.groups[clips],
        )


@dataclass(frozen=True, slots=True)
class Readout:
    """The fitted line, in the units of the features."""

    scale: float
    """a"""
    weights: Floats
    """w, (K, F), the output's unit for one of a feature."""
    constant: float
    """c − w · mean, in the output's unit."""
    penalty: float
    """Ridge penalty that was chosen; infinite where w is 0."""

    def predict(self, features: Floats, head: Floats) -> Floats:
        """(…, K, F), (…) -> (…), in the output's unit"""
        line: Floats = np.einsum("...kf,kf->...", features, self.weights)
        return self.scale * head + line + self.constant

    def put_into(self, head: Head, output: int = 0) -> None:
        """Make it part of a head; a path that is there already is scaled with the rest."""
        with torch.no_grad():
            if head.readout is not None:
                path = head.readout[output].transpose(0, 1)  # (T', D, H', W')
                frames = len(path) // len(self.weights)  # T' feature frames a fragment
                line = torch.from_numpy(self.weights).to(path) / frames  # (K, F)
                line = line.repeat_interleave(frames, dim=0).reshape(path.shape)
                path.mul_(self.scale).add_(line)
            head.out.weight[output].mul_(self.scale)
            head.out.bias[output].mul_(self.scale)
            head.baseline[output].mul_(self.scale).add_(self.constant)


@dataclass(frozen=True, slots=True)
class Regression:
    """Lines that are fitted to clips, and how well they predict clips that they were not fitted to.

    One for each penalty, with the head and without.
    """

    rows: Rows
    centring: "Centring"
    inputs: Floats
    """(V, N, P)"""
    gram: Floats
    """(V, N, V, N): the products of all inputs with all."""
    errors: Floats
    """(groups, 2, penalties): squared errors of lines without the head, and of those with it."""

    @classmethod
    def of(cls, rows: Rows, blank: Floats) -> "Regression":
        """`blank` is (K, F).   Raises DataError for too few clips."""
        if not enough(rows):
            raise DataError(too_few(rows))
        centring = Centring.of(rows, blank)
        inputs = centring(rows)
        gram = _gram(inputs)
        return cls(rows, centring, inputs, gram, _errors(gram, rows))

    def readout(self, *, use_head: bool | None = None) -> Readout:
        """The line that predicts clips best that it was not fitted to.

        `use_head` False leaves the head out: a plain ridge regression. True uses it in any case,
        None where that predicts better.
        """
        if use_head is None:
            without_head, with_head = self.errors.mean(axis=0).min(axis=1)
            use_head = bool(with_head <= without_head)
        errors = self.errors[:, int(use_head)]
        penalty = _largest_as_good(errors) if use_head else _best(errors)
        [pair] = _lines(self.gram, self.rows, np.arange(len(self.rows.groups)), [penalty])
        line = pair[int(use_head)]
        weights = np.tensordot(line.shares, self.inputs, axes=2)  # (P,)
        return self.centring.undo(weights, line.scale, line.constant, penalty)


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
    if scale <= 0:  # its order would be reversed: then it is left out
        scale, constant = 0.0, float(np.average(judged, weights=counts**2))
    weights = np.zeros(rows.features.shape[2:])
    return Readout(float(scale), weights, float(constant), np.inf)


@dataclass(frozen=True, slots=True)
class Line:
    """w is Σ shares · inputs over clips in their variants, so products of inputs are all it needs.

    [Saunders98] C. Saunders, A. Gammerman, V. Vovk. Ridge Regression Learning Algorithm in Dual
                 Variables. ICML 1998.
    """

    scale: float
    constant: float
    shares: Floats
    """(V, n) of the n clips that it was fitted to."""

    def __call__(self, gram: Floats, head: Floats) -> Floats:
        """Products (V, m, V, n) with m clips, and (V, m) of the head -> (V, m)"""
        line: Floats = np.tensordot(gram, self.shares, axes=2)
        return line + self.scale * head + self.constant


@dataclass(frozen=True, slots=True)
class Centring:
    """Features (K, F) to inputs of unit variance, P = K·F, that are 0 for blank fragments."""

    mean: Floats
    """(K, F) of shown fragments."""
    deviation: Floats
    """(K, F)"""
    away: Floats
    """(K, F) unit vectors from what black frames give to the mean."""

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

    def undo(self, weights: Floats, scale: float, constant: float, penalty: float) -> Readout:
        """The line of (P,) weights of inputs in the units of the features."""
        weights = without(weights.reshape(self.mean.shape) / self.deviation, self.away)
        constant -= float((weights * self.mean).sum())
        return Readout(scale=scale, weights=weights, constant=constant, penalty=penalty)


def without(vectors: Floats, direction: Floats) -> Floats:
    """What is left of (…, K, F) without its part along the unit vectors (K, F)."""
    along = (vectors * direction).sum(axis=-1, keepdims=True)
    rest: Floats = vectors - along * direction
    return rest


def _gram(inputs: Floats) -> Floats:
    """(V, N, P) -> (V, N, V, N): the products of all with all."""
    flat = inputs.reshape(-1, inputs.shape[2])
    products: Floats = flat @ flat.T
    return products.reshape(*inputs.shape[:2], *inputs.shape[:2])


def _lines(
    gram: Floats, rows: Rows, clips: Indices, penalties: Sequence[float]
) -> list[tuple[Line, Line]]:
    """Ridge regressions on the inputs of n clips, one a penalty: without the head, and with it.

    Scale and constant go free. A has the products of the inputs, F ones and the head's predictions:

        (A + penalty) shares + F (constant, scale) = judged,   F' shares = 0

    A + penalty is factorised once for both lines, since that is what takes the time.
    """
    learnt, variants = rows.of(clips), np.arange(len(gram))
    counts = _counts(learnt).ravel()  # (V·n,): each row as often as it counts
    kernel = gram[np.ix_(variants, clips, variants, clips)].reshape(len(counts), -1)  # A
    kernel *= counts
    kernel *= counts[:, None]
    basis, triangle = np.linalg.qr(np.stack([counts, counts * learnt.head.ravel()], axis=1))  # F
    right = np.column_stack([counts * learnt.judged.ravel(), basis])  # (V·n, 3)

    def line(solved: Floats, penalty: float, free: int) -> Line:
        """With the first `free` columns of F; `solved` is penalty · (A + penalty)⁻¹ right."""
        judged, others, along = solved[:, 0], solved[:, 1 : 1 + free], basis[:, :free].T
        parts = np.linalg.solve(along @ others, along @ judged)
        shares = (judged - others @ parts) / penalty * counts
        constant, *scale = map(float, np.linalg.solve(triangle[:free, :free], parts))
        return Line(scale[0] if scale else 0.0, constant, shares.reshape(learnt.head.shape))

    head_varies = abs(triangle[1, 1]) > LEAST_VARYING * np.linalg.norm(triangle[:, 1])
    lines = []
    for penalty in penalties:
        solved = right  # for an infinite one
        if np.isfinite(penalty):
            kernel.flat[:: len(kernel) + 1] += penalty
            solved = penalty * cho_solve(cho_factor(kernel, check_finite=False), right)
            kernel.flat[:: len(kernel) + 1] -= penalty
        without_head = with_head = line(solved, penalty, 1)
        if head_varies:
            with_head = line(solved, penalty, 2)
        if with_head.scale < 0:  # a head whose order would be reversed is left out
            with_head = without_head
        lines.append((without_head, with_head))
    return lines


def _counts(rows: Rows) -> Floats:
    """(V, N): how much an error of a clip counts, 1 where all clips' do alike."""
    counting = rows.factor * np.sqrt(rows.weight)
    size = np.sqrt((counting**2).mean())
    counts: Floats = np.broadcast_to(counting / size, rows.head.shape)
    return counts


def _errors(gram: Floats, rows: Rows) -> Floats:
    """(groups, 2, penalties): squared error of each group by lines that were fitted without it.

    First by those without the head, then by those with it.
    """
    squares = np.zeros((len(rows.groups), 2, len(PENALTIES)))
    _, group = np.unique(rows.groups, return_inverse=True)
    sizes = np.bincount(group)
    folds = GroupKFold(min(FOLDS, len(sizes)), shuffle=True, random_state=0)
    for learnt, held in folds.split(group, groups=group):
        products = gram[:, held][:, :, :, learnt]
        for column, pair in enumerate(_lines(gram, rows, learnt, PENALTIES)):
            for choice, line in enumerate(pair):
                predicted = line(products, rows.head[:, held])
                off = (predicted - rows.judged[:, held]) * rows.factor[held]  # points
                squares[held, choice, column] = (off**2).mean(axis=0) * rows.weight[held]
    sums = np.zeros((len(sizes), 2, len(PENALTIES)))
    np.add.at(sums, group, squares)
    means: Floats = sums / sizes[:, None, None]
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
