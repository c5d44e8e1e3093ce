"""
Fits the head's linear path to judged scores in closed form: what few clips can teach safely.

    score = a · head + w · (mean features − their mean) + c

Of a network with several outputs each gets a line of its own, in its unit: this is about one.
`head` is what the head predicts already: the base's prediction, or nothing for a new one. The ridge
penalty on w and whether the head is used are chosen by cross-validation on the training
clips, so that the result is at best better than both, and at worst the better one of: the base
brought to the clips' scale (w = 0), a ridge regression on its features (a = 0). Predictions for
the clips that taught the head are too good to choose by: a fit that uses it must not have them.

A clip's error is that of what the service answers, the mean over its views. Beside it counts how
much the prediction changes from one version of the clip to another, as from a video to its copy at
a lower frame rate, see `steady_ridge`: scores are to be right, and steady. Between the clips of a
counterfactual pair they are to differ by what the fault costs, and on average of each kind.

The rule: a blank fragment counts as an average one. The direction from what black frames give to
the mean feature is taken out of w, so that blanking a fragment moves the linear path by what makes
the fragment differ from others, and a clip of which nothing is seen gets the mean.

Shapes: V variants of N clips, K fragments used, F features of a fragment (every channel at every
place of the picture), P = K·F, D directions, O outputs.

[Breiman84] L. Breiman et al. Classification and Regression Trees. 1984.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.model_selection import GroupKFold

from model_store.network import Head
from training.errors import DataError
from training.learn.steady_ridge import Equations

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PENALTIES = (*np.logspace(0.5, 5, 16), np.inf)  # of w, for inputs of unit variance
FOLDS = 5  # or fewer, where there are fewer groups
ERRORS = [0, -1]  # rows of the equations that are right or wrong; the others are steady or not
DIRECTIONS = 1500  # of the inputs; the line has no part in those along which clips differ least
FEWEST, FEWEST_GROUPS = 8, 3  # training clips
LEAST_DEVIATION = 0.05  # of a feature, as a share of the mean one: what hardly varies stays small
LEAST_VARIANCE = 1e-9  # along a direction, as a share of the first one's


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
    leader: Indices
    """(N,): of the faulty clip of a pair the clean one, else the clip itself."""
    differences: Floats
    """(N,): what the squared error of the difference to the leader counts beside a clip's."""
    kinds: Indices
    """(N,): the kind of fault that makes the difference, 0 and on; −1 where there is none."""
    views: int
    """Of the variants, the first ones, whose mean is what the service answers."""

    def of(self, clips: NDArray[np.int64]) -> "Rows":
        """Those of these clips, in the order given; pairs are whole."""
        place = np.full(len(self.groups), -1)
        place[clips] = np.arange(len(clips))
        return Rows(
            features=self.features[:, clips],
            shown=self.shown[:, clips],
            head=self.head[:, clips],
            judged=self.judged[:, clips],
            factor=self.factor[clips],
            weight=self.weight[clips],
            groups=self.groups[clips],
            leader=place[self.leader[clips]],
            differences=self.differences[clips],
            kinds=self.kinds[clips],
            views=self.views,
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
                path = head.readout[output]
                path.mul_(self.scale)
                add_by_fragment(self.weights, path)
            if head.other is not None:
                head.other.difference[output].mul_(self.scale)
                head.other.constant[output].mul_(self.scale)
            head.out.weight[output].mul_(self.scale)
            head.out.bias[output].mul_(self.scale)
            head.baseline[output].mul_(self.scale).add_(self.constant)


def add_by_fragment(weights: Floats, line: torch.Tensor) -> None:
    """Add weights of mean features (K, F) to a line on feature frames (D, T', H', W')."""
    path = line.transpose(0, 1)  # (T', D, H', W')
    frames = len(path) // len(weights)  # T' feature frames a fragment
    each = torch.from_numpy(weights).to(path) / frames  # (K, F)
    path.add_(each.repeat_interleave(frames, dim=0).reshape(path.shape))


@dataclass(frozen=True, slots=True)
class Regression:
    """Lines that are fitted to clips, and how well they predict clips that they were not fitted to.

    One for each penalty, with the head and without.
    """

    equations: Equations
    centring: "Centring"
    directions: Floats
    """(P, D) orthonormal: the line lies in the space of them."""
    errors: Floats
    """(groups, 2, penalties): squared errors of lines without the head, and of those with it."""

    @classmethod
    def of(cls, rows: Rows, blank: Floats, *, steadiness: float = 1.0) -> "Regression":
        """`blank` is (K, F).   Raises DataError for too few clips."""
        if not enough(rows):
            raise DataError(too_few(rows))
        centring = Centring.of(rows, blank)
        inputs = centring(rows)  # (V, N, P)
        directions = _directions(inputs * np.sqrt(_counts(rows))[:, None])
        equations = Equations.of(
            inputs @ directions,
            rows.head,
            rows.judged,
            views=rows.views,
            counts=_counts(rows),
            steadiness=steadiness,
            leader=rows.leader,
            differences=rows.differences,
            kinds=rows.kinds,
        )
        return cls(equations, centring, directions, _errors(equations, rows))

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
        line = self.equations.normal().with_gains().solve(penalty)[int(use_head)]
        weights = self.directions @ line[:-2]
        return self.centring.undo(
            weights, *self.equations.undo(float(line[-2]), float(line[-1])), penalty
        )


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
    head, judged = (each[: rows.views].mean(axis=0) for each in (rows.head, rows.judged))
    counts = _counts(rows)
    scale, constant = np.polyfit(head, judged, 1, w=np.sqrt(counts)) if np.ptp(head) else (0.0, 0.0)
    if scale <= 0:  # its order would be reversed: then it is left out
        scale, constant = 0.0, float(np.average(judged, weights=counts))
    weights = np.zeros(rows.features.shape[2:])
    return Readout(float(scale), weights, float(constant), np.inf)


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


def _directions(inputs: Floats) -> Floats:
    """(V, N, P) -> (P, D): the principal directions, all of them or the first DIRECTIONS."""
    flat = inputs.reshape(-1, inputs.shape[2])
    is_tall = len(flat) > flat.shape[1]
    products = flat.T @ flat if is_tall else flat @ flat.T
    size = len(products)
    values, vectors = eigh(products, subset_by_index=[max(0, size - DIRECTIONS), size - 1])
    varying = values >= LEAST_VARIANCE * values[-1]
    found: Floats = vectors[:, varying]
    if not is_tall:
        found = flat.T @ (found / np.sqrt(np.maximum(values[varying], np.finfo(float).tiny)))
    return found


def _counts(rows: Rows) -> Floats:
    """(N,): how much the square of an error counts, 1 where all clips' do alike."""
    counts = rows.factor**2 * rows.weight
    counts /= counts.mean()
    return counts


def _errors(equations: Equations, rows: Rows) -> Floats:
    """(groups, 2, penalties): squared error of each group by lines that were fitted without it.

    First by those without the head, then by those with it. Errors of differences within pairs count
    among them.
    """
    squares = np.zeros((len(rows.groups), 2, len(PENALTIES)))
    _, group = np.unique(rows.groups, return_inverse=True)
    sizes = np.bincount(group)
    in_points = float((rows.factor**2 * rows.weight).mean())  # for one of the equations' errors
    everything = equations.normal()
    folds = GroupKFold(min(FOLDS, len(sizes)), shuffle=True, random_state=0)
    for _, held in folds.split(group, groups=group):
        learnt = everything.without(equations.normal(held)).with_gains()
        columns, wanted = equations.columns[ERRORS][:, held], equations.wanted[ERRORS][:, held]
        for column, penalty in enumerate(PENALTIES):
            lines = np.stack(learnt.solve(penalty), axis=1)  # (D + 2, 2)
            off = columns @ lines - wanted[..., None]  # (2, held, 2)
            squares[held, :, column] = (off**2).sum(axis=0) * in_points
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
