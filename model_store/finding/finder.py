"""
The finder: a small network over the features of a recording's frames.

One layer for each frame alone, then convolutions over time, each over frames twice as far apart as
the one before, so that every frame is seen with the seconds around it. It is stored beside this
file, one for each action, as `python -m training fit-finder` made it: from simulated recordings,
and that of diving also from every second of the 300 real dives of UNLV-Dive's training split.

Shapes: N frames, Q features, C channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model_store.errors import InvalidTrim
from model_store.finding.features import Floats, features_of, parts_of
from model_store.finding.windows import Choice, LengthPrior, choose, table
from model_store.spec import ClipSpec

FOLDER = Path(__file__).parent
FOUND_ACTIONS = tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))
"""Those whose routines can be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    mean: Floats
    """(Q,) of the features; they are centred and scaled first."""
    scale: Floats
    first: tuple[Floats, Floats]
    """(Q, C) and (C,)"""
    layers: tuple[tuple[Floats, Floats], ...]
    """(3, C, C) and (C,): of the frame 2ⁿ earlier, of the frame itself, of the one 2ⁿ later."""
    last: tuple[Floats, Floats]
    """(C, 3) and (3,)"""
    prior: LengthPrior
    likely: float
    """Log-odds from which on a window is taken for a routine."""

    def find(self, frames: NDArray[np.uint8], spec: ClipSpec) -> Choice:
        """(N, H, W, 3) of a recording at the spec's rate -> its windows; N more than the spec's T.

        Raises InvalidTrim for a recording that is too short to be searched.
        """
        if len(frames) < self.prior.shortest:
            raise InvalidTrim(f"{len(frames)} frames, need at least {self.prior.shortest} to find")
        colours = frames if spec.colour_order == "rgb" else frames[..., ::-1]
        return self.choose(parts_of(colours))

    def choose(self, parts: Floats) -> Choice:
        """`find`, by `parts_of` the recording, at least `prior.shortest` frames of it."""
        return choose(table(self.evidence(features_of(parts)), self.prior), self.prior.shortest)

    def evidence(self, features: Floats) -> Floats:
        """(N, Q) -> (N, 3): begin, end, inside"""
        weight, bias = self.first
        x = np.maximum((features - self.mean) * self.scale @ weight + bias, 0)  # (N, C)
        for number, (weights, bias) in enumerate(self.layers):
            far = 2**number
            around = np.pad(x, ((far, far), (0, 0)))
            y = bias + sum(around[i * far :][: len(x)] @ weights[i] for i in range(3))
            x = x + np.maximum(y, 0)
        weight, bias = self.last
        evidence: Floats = x @ weight + bias
        return evidence

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Finder":
        read = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        shortest, longest, usual, spread, offset = map(float, read["prior"])
        layers = sum(name.startswith("layer") and name.endswith("bias") for name in read)
        return cls(
            mean=read["mean"],
            scale=read["scale"],
            first=(read["first"], read["first.bias"]),
            layers=tuple((read[f"layer{n}"], read[f"layer{n}.bias"]) for n in range(layers)),
            last=(read["last"], read["last.bias"]),
            prior=LengthPrior(
                shortest=round(shortest),
                longest=round(longest),
                usual=usual,
                spread=spread,
                offset=offset,
            ),
            likely=float(read["likely"][0]),
        )


@cache
def finder_of(action: str) -> Finder:
    """Raises InvalidTrim for an action that has none."""
    if action not in FOUND_ACTIONS:
        known = " and ".join(FOUND_ACTIONS)
        raise InvalidTrim(f"find knows {known}, not {action}; give start_s and end_s")
    return Finder.from_arrays(load_file(FOLDER / f"{action}.safetensors"))
