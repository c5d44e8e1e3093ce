"""
The head on many coalitions of fragments, evaluating no position of it twice.

A coalition is the set of fragments that are shown; the others are blank. The head's first
convolution is linear, so its answer to a coalition is its answer to the blank clip plus one
response for each shown fragment. A position of the head sees few fragments, and many coalitions
show it the same pattern of them. So each layer is a list of rows, one for each position and
pattern, from which the next layer gathers. For 9 fragments of one feature frame there are 112 rows
after the first pool, where 512 heads would have 2,560. Kernel, stride and padding determine which
fragments a position sees; a fragment may have any number of feature frames.

The rule: exact. The score of a coalition is what the whole network gives a clip whose other
fragments are blacked out, up to the order of summation.

Shapes: B clips, M coalitions, K fragments that the network uses, T' feature frames a fragment,
S = K·T' feature frames, D C channels, H W extent of features, R rows of a layer, O outputs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_store.contributions import Indices, Masks
from model_store.network import FragmentNetwork

TAPS = 3  # of every kernel of the head, in time; centred
POOL_STRIDE = 2
HIDDEN = -1  # instead of a row: the fragment is not shown


@dataclass(frozen=True, slots=True)
class Layer:
    """Where the value of a position under a coalition is found."""

    seen: Masks
    """(positions, K): the fragments that a position's value depends on."""
    row: Indices
    """(positions, M): the row, 0…R − 1, of a position under a coalition."""
    position: Indices
    """(R,): the position of a row, ascending."""
    coalition: Indices
    """(R,): one of the coalitions that the row stands for."""

    @classmethod
    def over(cls, below: Masks, coalitions: Masks, *, stride: int = 1) -> "Layer":
        """A convolution or pool over positions that see `below` (positions, K)."""
        around = np.pad(below, ((1, 1), (0, 0)))
        seen = (around[:-2] | below | around[2:])[::stride]
        row: list[Indices] = []
        position: list[int] = []
        coalition: list[int] = []
        for index, visible in enumerate(seen):
            patterns, example, pattern = np.unique(
                coalitions[:, visible], axis=0, return_index=True, return_inverse=True
            )
            row.append(len(position) + pattern.reshape(-1))
            position += [index] * len(patterns)
            coalition += example.tolist()
        return cls(seen, np.stack(row), np.array(position), np.array(coalition))

    def taps(self, stride: int = 1) -> Indices:
        """(R, 3): the positions below that a row looks at; −1 and beyond the last are outside."""
        return stride * self.position[:, None] + np.arange(TAPS) - 1


class CoalitionHead(nn.Module):
    """Features (B, K, D, T', H, W) -> scores of the M coalitions (B, M, O), in points.

    `network` is a folded one in evaluation mode, `coalitions` is (M, K).
    """

    blank: Tensor
    first_bias: Tensor
    first_weight: Tensor
    first_taps: Tensor
    first_pool: Tensor
    second_bias: Tensor
    second_weight: Tensor
    second_taps: Tensor
    second_pool: Tensor
    hidden_bias: Tensor
    hidden_weight: Tensor
    hidden_rows: Tensor
    offset: Tensor
    lines: Tensor
    """(S, D·H·W, L) of the linear path: the readout, and of another kind of clips the difference to
    it and the gate; absent where the head has no linear path."""
    frame_shown: Tensor
    """(S, M) 1 or 0: the coalitions that show a feature frame; absent without a linear path."""
    difference_offset: Tensor
    """(O,) what the difference is for a blank clip; absent without another kind of clips."""
    gate_offset: Tensor
    """(1,) the same of the gate."""

    def __init__(self, network: FragmentNetwork, coalitions: Masks) -> None:
        super().__init__()
        if network.network_spec.normalisation != "none" or network.training:
            raise ValueError("need a folded network in evaluation mode")
        head, frames = network.head, network.fragment_feature_shape[1]
        # Of the L lines: a readout for each output; of another kind differences and a gate.
        self.parts: list[int] = []
        fragment = np.arange(len(network.used)).repeat(frames)  # (S,): whose feature frame it is
        first = Layer.over(np.eye(len(network.used), dtype=bool)[fragment], coalitions)
        first_pool = Layer.over(first.seen, coalitions, stride=POOL_STRIDE)
        second = Layer.over(first_pool.seen, coalitions)
        second_pool = Layer.over(second.seen, coalitions, stride=POOL_STRIDE)
        frame_shown = coalitions[:, fragment].T  # (S, M)
        shown_row = np.where(frame_shown, np.arange(len(fragment))[:, None], HIDDEN)

        with torch.no_grad():
            blank = network.blank_features()  # (K, D, T', H, W)
            first_blank = head.conv1(torch.cat(blank.unbind(), dim=1)[None])[0]  # (C, S, H, W)
            constants = {
                "blank": blank,
                "first_bias": first_blank.transpose(0, 1)[first.position],  # (R, C, H, W)
                "first_weight": _by_tap(head.conv1),
                "first_taps": _convolution_taps(first, shown_row),
                "first_pool": _pool_taps(first_pool, first),
                "second_bias": _bias(head.conv2)[:, None, None],  # (C, 1, 1)
                "second_weight": _by_tap(head.conv2),
                "second_taps": _convolution_taps(second, first_pool.row),
                "second_pool": _pool_taps(second_pool, second),
                "hidden_bias": head.fc1.bias,
                "hidden_weight": _by_position(head.fc1, head.conv2.out_channels, second_pool),
                "hidden_rows": torch.from_numpy(second_pool.row),
                # One constant: of a bias and a baseline OpenVINO 2026.4 drops the bias.
                "offset": head.out.bias + head.baseline,
            }
            if head.readout is not None:
                lines: list[Tensor] = [head.readout]
                constant = [torch.zeros_like(head.baseline)]
                if (other := head.other) is not None:
                    lines += [other.difference, other.gate[None]]
                    constant += [other.constant, -other.threshold[None]]
                nothing = torch.cat(blank.unbind(), dim=1).flatten()  # (D·S·H·W,)
                offset, *rest = (
                    line.flatten(1) @ nothing + extra
                    for line, extra in zip(lines, constant, strict=True)
                )
                constants["offset"] = constants["offset"] + offset
                constants |= zip(("difference_offset", "gate_offset"), rest, strict=False)
                constants["lines"] = torch.cat(lines).permute(2, 1, 3, 4, 0).flatten(1, 3)
                self.parts = [len(line) for line in lines]
                constants["frame_shown"] = torch.from_numpy(frame_shown).to(nothing.dtype)
        for name, value in constants.items():
            self.register_buffer(name, value.detach().clone())
        self.rows_of_position: list[int] = np.bincount(second_pool.position).tolist()
        self.fc2, self.out_weight = head.fc2, head.out.weight

    def forward(self, features: Tensor) -> Tensor:
        change = (features - self.blank).transpose(2, 3).flatten(1, 2)  # (B, S, D, H, W)
        x = self.first_bias + convolved(change, self.first_weight, self.first_taps)  # (B, R, C, …)
        x = F.relu(pooled(x, self.first_pool))
        x = self.second_bias + convolved(x, self.second_weight, self.second_taps)
        x = F.relu(pooled(x, self.second_pool)).flatten(2)  # (B, R, C·H·W)
        x = F.relu(self.hidden(x))  # (B, M, units)
        x = F.relu(self.fc2(x))
        scores: Tensor = F.linear(x, self.out_weight) + self.offset  # (B, M, O)
        if self.parts:  # linear in the fragments: each adds its own part where it is shown
            each = torch.matmul(change.flatten(2)[:, :, None], self.lines)  # (B, S, 1, L)
            sums = (each[:, :, 0].transpose(1, 2) @ self.frame_shown).transpose(1, 2)  # (B, M, L)
            line, *other = sums.split(self.parts, dim=2)
            scores = scores + line
            if other:
                difference, gate = other
                share = torch.sigmoid(gate + self.gate_offset)  # (B, M, 1)
                scores = scores + share * (difference + self.difference_offset)
        return scores

    def hidden(self, x: Tensor) -> Tensor:
        """The first fully connected layer, linear in the positions: (B, R, …) -> (B, M, units)."""
        parts = zip(torch.split(x, self.rows_of_position, dim=1), self.hidden_weight, strict=True)
        products = torch.cat([part @ weight for part, weight in parts], dim=1)  # (B, R, units)
        total = self.hidden_bias
        for rows in self.hidden_rows:
            total = total + products.index_select(1, rows)
        return total


def convolved(x: Tensor, weight: Tensor, taps: Tensor) -> Tensor:
    """A 3×3×3 convolution of rows (B, R, C, H, W): each tap once a row, then gathered and added."""
    responses = F.conv2d(x.flatten(0, 1), weight, padding=1)  # (B·R, taps·C, H, W)
    responses = responses.reshape(-1, TAPS * x.shape[1], len(weight) // TAPS, *x.shape[3:])
    responses = F.pad(responses, (0, 0, 0, 0, 0, 0, 1, 0))  # row 0 is the one for HIDDEN
    before, at, after = (responses.index_select(1, rows) for rows in taps)
    return before + at + after


def pooled(x: Tensor, taps: Tensor) -> Tensor:
    """The 3×3×3 maximum with stride 2 of rows (B, R, C, H, W): in space, then gathered in time."""
    spatial = F.max_pool2d(x.flatten(0, 1), 3, POOL_STRIDE, 1)
    spatial = spatial.reshape(-1, x.shape[1], *spatial.shape[1:])
    before, at, after = (spatial.index_select(1, rows) for rows in taps)
    return torch.maximum(torch.maximum(before, at), after)


def _convolution_taps(layer: Layer, row_below: Indices) -> Tensor:
    """(3, R): which response, counted from 1 by row and tap; 0 for what is hidden or outside."""
    taps = layer.taps()
    inside = (taps >= 0) & (taps < len(row_below))
    below = row_below[np.where(inside, taps, 0), layer.coalition[:, None]]
    found = np.where(inside & (below != HIDDEN), 1 + TAPS * below + np.arange(TAPS), 0)
    return torch.from_numpy(found.T)


def _pool_taps(layer: Layer, below: Layer) -> Tensor:
    """(3, R): rows of the layer below; for a position outside its neighbour, which is in."""
    taps = layer.taps(POOL_STRIDE)
    inside = (taps >= 0) & (taps < len(below.row))
    taps = np.where(inside, taps, taps[:, 1:2])
    return torch.from_numpy(below.row[taps, layer.coalition[:, None]].T)


def _by_tap(conv: nn.Conv3d) -> Tensor:
    """(C, D, 3, 3, 3) -> (3·C, D, 3, 3): one 2-D convolution for the three taps in time."""
    return conv.weight.permute(2, 0, 1, 3, 4).flatten(0, 1)


def _by_position(fc: nn.Linear, channels: int, layer: Layer) -> Tensor:
    """(units, C·P·H·W) -> (P, C·H·W, units) for the P positions of the layer."""
    weight = fc.weight.reshape(fc.out_features, channels, len(layer.seen), -1)
    return weight.permute(2, 1, 3, 0).flatten(1, 2)


def _bias(conv: nn.Conv3d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
