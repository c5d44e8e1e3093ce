"""
The finder as PyTorch trains it; `model_store.finding.finder` runs the same in NumPy.

The loss is −log of the probability that the finder gives to where the routine is, see
`model_store.finding.windows`; of several routines each counts as if the others were not there.

Shapes: N frames, Q features, C channels, D lengths.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model_store.finding.features import FEATURES
from model_store.finding.windows import LIKE, FrameWindow

CHANNELS = 16
LAYERS = 7  # the last one looks 64 frames back and ahead, all together see 127
TOLERANCE = 2  # frames by which a window may be off and still counts for something
DROPOUT = 0.1
NEVER = -1e9  # log-odds


class FinderNetwork(nn.Module):
    """Features (N, Q) -> evidence (N, 3): begin, end, inside."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shortest: int, longest: int) -> None:
        super().__init__()
        self.shortest, self.longest = shortest, longest
        self.likely = 0.0
        """See `Finder`: what the fit is compared with."""
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.first = nn.Linear(FEATURES, CHANNELS)
        self.layers = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, 3, padding=2**n, dilation=2**n) for n in range(LAYERS)
        )
        self.last = nn.Linear(CHANNELS, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.usual = nn.Parameter(torch.tensor((shortest + longest) / 2))
        self.log_spread = nn.Parameter(torch.tensor(3.0))
        self.offset = nn.Parameter(torch.tensor(-8.0))

    def standardise(self, features: Tensor) -> None:
        """Take mean and scale from features (N, Q)."""
        self.mean.copy_(features.mean(0))
        self.scale.copy_(1 / (features.std(0) + 0.02))

    def forward(self, features: Tensor) -> Tensor:
        x = F.relu(self.first((features - self.mean) * self.scale)).T[None]  # (1, C, N)
        for layer in self.layers:
            x = x + F.relu(layer(F.dropout(x, DROPOUT, self.training)))
        evidence: Tensor = self.last(x[0].T)
        return evidence

    def table(self, features: Tensor) -> Tensor:
        """(N, D) log-odds of all windows; the same as `windows.table`."""
        begin, end, inside = self(features).T
        count = len(features)
        lengths = torch.arange(self.shortest, min(self.longest, count) + 1)
        sums = F.pad(inside.cumsum(0), (1, 0))
        starts = torch.arange(count)[:, None]
        stops = starts + lengths
        within = stops.clamp(max=count)
        prior = self.offset - 0.5 * ((lengths - self.usual) / self.log_spread.exp()) ** 2
        odds = begin[:, None] + end[within - 1] + sums[within] - sums[:-1, None] + prior
        table: Tensor = odds.masked_fill(stops > count, NEVER)
        return table

    def loss(self, features: Tensor, routines: Sequence[FrameWindow]) -> Tensor:
        table, none = self.table(features), torch.zeros(1)
        possible = [shown for shown in routines if self._is_possible(shown, len(features))]
        if not possible:
            return torch.logsumexp(torch.cat((table.flatten(), none)), 0)
        losses = []
        for shown in possible:
            others = [self._like(table, other) for other in routines if other != shown]
            left = table.masked_fill(torch.stack(others).any(0), NEVER) if others else table
            every = torch.logsumexp(torch.cat((left.flatten(), none)), 0)
            losses.append(every - self._near(left, shown, len(features)))
        return torch.stack(losses).mean()

    def _is_possible(self, shown: FrameWindow, count: int) -> bool:
        inside = shown.start >= 0 and shown.stop <= count
        return inside and self.shortest <= shown.stop - shown.start <= self.longest

    def _like(self, table: Tensor, shown: FrameWindow) -> Tensor:
        """(N, D): which windows show the same as `shown`."""
        starts = torch.arange(len(table))[:, None]
        lengths = self.shortest + torch.arange(table.shape[1])
        shared = (starts + lengths).clamp(max=shown.stop) - starts.clamp(min=shown.start)
        return shared > LIKE * lengths.clamp(max=shown.stop - shown.start)

    def _near(self, table: Tensor, shown: FrameWindow, count: int) -> Tensor:
        """Log-odds of all windows about where a routine is, less the further they are off."""
        off = range(-TOLERANCE, TOLERANCE + 1)
        odds = []
        for a in off:
            for b in off:
                window = FrameWindow(shown.start + a, shown.stop + b)
                if self._is_possible(window, count):
                    length = window.stop - window.start - self.shortest
                    odds.append(table[window.start, length] - (a * a + b * b) / TOLERANCE**2)
        return torch.logsumexp(torch.stack(odds), 0)

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """As `Finder.from_arrays` reads it."""
        prior = (self.shortest, self.longest, self.usual, self.log_spread.exp(), self.offset)
        tensors = {
            "mean": self.mean,
            "scale": self.scale,
            "first": self.first.weight.T,
            "first.bias": self.first.bias,
            "last": self.last.weight.T,
            "last.bias": self.last.bias,
            "likely": torch.tensor([self.likely]),
            "prior": torch.tensor([float(torch.as_tensor(value).detach()) for value in prior]),
        }
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Conv1d)
            assert layer.bias is not None
            tensors[f"layer{number}"] = layer.weight.permute(2, 1, 0)  # (3, C in, C out)
            tensors[f"layer{number}.bias"] = layer.bias
        return {
            name: np.ascontiguousarray(tensor.detach().numpy(), np.float16)
            for name, tensor in tensors.items()
        }
