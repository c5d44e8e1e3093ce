"""
Two kinds of clips with a line each, and a gate between them.

One line for broadcasts and simulated dives is right of neither: what it learns from one kind costs
the other. So rehearsed clips may get a line of their own; which of the two a clip gets, a gate
tells from its features. That is a logistic regression for each fragment by itself, because parts of
a routine are scored alone too. It is 0 for a blank fragment. Their sum decides; what is hardly of
the other kind is of the own one.

Shapes: V variants of N clips, K fragments used, F features of a fragment, O outputs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from model_store.network import Head
from training.errors import DataError
from training.learn.readout import LEAST_DEVIATION, Floats, Readout, Rows, add_by_fragment

SURE = 1.0  # log odds from which on a clip is rather of the other kind
LOSS = 1.0  # what the log loss of a fragment counts beside half the squares of the gate's weights
ITERATIONS = 1000
LEAST_TOLD = 0.9  # share of both kinds of clips that the gate must tell


@dataclass(frozen=True, slots=True)
class Gate:
    """How much of the other kind a clip is."""

    weights: Floats
    """(K, F), log odds for one of a feature."""
    threshold: float

    @classmethod
    def between(cls, rows: Rows, is_other: NDArray[np.bool_], blank: Floats) -> "Gate":
        """From clips of both kinds, (N,) told apart; `blank` is (K, F).

        Raises DataError where they look alike.
        """
        labels = np.broadcast_to(is_other, rows.head.shape)  # (V, N)
        weights, odds = np.zeros_like(blank), np.zeros(labels.shape)
        for k, nothing in enumerate(blank):
            seen = rows.shown[:, :, k]
            if len(np.unique(labels[seen])) < 2:
                continue
            changes = rows.features[:, :, k][seen] - nothing  # (clips, F)
            deviation = changes.std(axis=0)
            scale = np.maximum(deviation, LEAST_DEVIATION * deviation.mean() + 1e-12)
            model = LogisticRegression(
                C=LOSS, class_weight="balanced", fit_intercept=False, max_iter=ITERATIONS
            )
            weights[k] = model.fit(changes / scale, labels[seen]).coef_[0] / scale
            odds[seen] += changes @ weights[k]
        told = balanced_accuracy_score(labels.ravel(), odds.ravel() > SURE)
        if told < LEAST_TOLD:
            raise DataError(
                f"{told:.0%} of the clips to rehearse and of the others are told apart, need"
                f" {LEAST_TOLD:.0%}: leave --apart out"
            )
        return cls(weights, SURE + float((weights * blank).sum()))

    def share(self, features: Floats) -> Floats:
        """(…, K, F) -> (…), 0…1"""
        odds = np.einsum("...kf,kf->...", features, self.weights) - self.threshold
        found: Floats = expit(odds)
        return found


@dataclass(frozen=True, slots=True)
class TwoLines:
    """The lines of one output; neither uses the head."""

    own: Readout
    other: Readout
    gate: Gate

    def predict(self, features: Floats, head: Floats) -> Floats:
        """(…, K, F), (…) -> (…), in the output's unit"""
        own, other = (line.predict(features, head) for line in (self.own, self.other))
        return own + self.gate.share(features) * (other - own)

    def put_into(self, head: Head, output: int = 0) -> None:
        """Make them part of a new head."""
        self.own.put_into(head, output)
        there = head.other
        assert there is not None, "the network has no line for another kind"
        with torch.no_grad():
            there.difference[output] = 0
            add_by_fragment(self.other.weights - self.own.weights, there.difference[output])
            there.constant[output] = self.other.constant - self.own.constant
            there.gate.zero_()
            add_by_fragment(self.gate.weights, there.gate)
            there.threshold.fill_(self.gate.threshold)
