"""
C3D+LSTM: the fragments' features as a sequence, the score from the state at its end.   [Parmar17]

The epoch is chosen by a part of the training clips, as everywhere here.

Shapes: B clips, N training clips, M test clips, K fragments, P values a fragment.

[Parmar17] P. Parmar, B. T. Morris. Learning to Score Olympic Events. CVPR Workshops 2017.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.losses import mse_loss
from training.paper.baselines.fragments import Fragments

HIDDEN = 256  # as in [Parmar17]
EPOCHS = 100
BATCH = 32
RATE = 1e-3
DROPOUT = 0.5
VALIDATION = 0.15  # of the training clips


class SequenceScorer(nn.Module):
    """(B, K, P) and (B,), the last fragment of each clip -> (B,)"""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, HIDDEN, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.out = nn.Linear(HIDDEN, 1)

    def forward(self, sequences: Tensor, last: Tensor) -> Tensor:
        states, _ = self.lstm(sequences)  # (B, K, HIDDEN)
        end = states[torch.arange(len(last)), last]
        score: Tensor = self.out(self.dropout(end)).squeeze(1)
        return score


def regress(
    known: Fragments,
    judged: NDArray[np.floating],
    unknown: Fragments,
    *,
    seed: int,
    epochs: int = EPOCHS,
    progress: Callable[[int, int], None],
) -> NDArray[np.float64]:
    """N training clips and their scores, M others -> (M,) points."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    order = random.permutation(len(judged))
    held = max(1, round(VALIDATION * len(judged)))
    validation, training = order[:held], order[held:]

    seen = known.features[training][known.shown[training]]  # blank fragments carry no information
    mean, deviation = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    inputs = _sequences(known, mean, deviation)
    centre, spread = judged[training].mean(), judged[training].std() + 1e-6
    wanted = torch.from_numpy((judged - centre) / spread).float()

    scorer = SequenceScorer(len(mean))
    optimiser = torch.optim.Adam(scorer.parameters(), RATE)
    others = _sequences(unknown, mean, deviation)
    least, best = np.inf, np.full(len(others[1]), centre)
    for epoch in range(1, epochs + 1):
        scorer.train()
        random.shuffle(training)
        for begin in range(0, len(training), BATCH):
            rows = torch.from_numpy(training[begin : begin + BATCH])
            loss = mse_loss(scorer(inputs[0][rows], inputs[1][rows]), wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        scorer.eval()
        with torch.no_grad():
            rows = torch.from_numpy(validation)
            error = float(mse_loss(scorer(inputs[0][rows], inputs[1][rows]), wanted[rows]))
            if error < least:
                least, best = error, scorer(*others).double().numpy() * spread + centre
        progress(epoch, epochs)
    return best


def _sequences(
    clips: Fragments, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> tuple[Tensor, Tensor]:
    """(N, K, P) standardised, zero for blank fragments, and (N,) the last one that is not."""
    scaled = (clips.features - mean) / deviation * clips.shown[:, :, None]
    reversed_ = clips.shown[:, ::-1]
    last = clips.shown.shape[1] - 1 - reversed_.argmax(axis=1)
    return torch.from_numpy(scaled).float(), torch.from_numpy(last)
