"""
What fixes a network's shape besides the clip. It imports no PyTorch.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from model_store.errors import SpecError
from model_store.spec import ClipSpec, strict_fields

Normalisation = Literal["none", "batch"]
Target = Literal["final", "execution", "both"]
Output = Literal["final", "execution"]
OUTPUTS: dict[Target, tuple[Output, ...]] = {
    "final": ("final",),
    "execution": ("execution",),
    "both": ("final", "execution"),
}

MAX_VIEWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Everything that fixes the network's shape besides the clip."""

    width: float
    """Factor on every channel count of C3D; 1.0 is the paper."""
    normalisation: Normalisation
    """none, as in the paper, or batch, folded into the convolutions for inference."""
    head_channels: tuple[int, int]
    """Channels of the head's two convolutions."""
    head_hidden: tuple[int, int]
    """Units of the head's two fully connected layers."""
    dropout: float
    """Share dropped in the head. [Li18] has 0.8; the other reading, keep 0.8, is 0.2 here."""
    fragments_used: tuple[int, ...] | None
    """Fragments with an extractor, ascending; None for all. The others are never looked at."""
    target: Target
    """What is predicted: the announced score, the execution before difficulty, or both."""
    readout: bool
    """Whether the head has a linear path beside its layers, see `Head`. The paper has none."""
    views: int
    """Looks at each clip whose answers are averaged (`ClipSpec.views`); the paper has one. Each
    costs the time of one."""
    other_kind: bool = False
    """Whether clips of another kind get a line of their own, see `OtherKind`; with a readout."""

    def __post_init__(self) -> None:
        if not 0 < self.width <= 4:
            raise SpecError(f"network width is {self.width}, need above 0, at most 4")
        if self.normalisation not in ("none", "batch"):
            raise SpecError(f"normalisation is {self.normalisation!r}, need none or batch")
        if self.other_kind and not self.readout:
            raise SpecError("another kind of clips has a line of its own, which needs a readout")
        if self.target not in OUTPUTS:
            raise SpecError(f"target is {self.target!r}, need one of {', '.join(OUTPUTS)}")
        if not 0 <= self.dropout < 1:
            raise SpecError(f"dropout is {self.dropout}, need 0 to below 1")
        if any(size < 1 for size in self.head_channels + self.head_hidden):
            raise SpecError(f"head sizes {self.head_channels}, {self.head_hidden}, need 1 or more")
        if not 1 <= self.views <= MAX_VIEWS:
            raise SpecError(f"views are {self.views}, need 1…{MAX_VIEWS}")
        used = self.fragments_used
        if used is not None and (not used or used != tuple(sorted(set(used))) or used[0] < 0):
            raise SpecError(f"fragments_used is {used}, need ascending indices from 0")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What each of the O outputs means, in order."""
        return OUTPUTS[self.target]

    def used(self, clip: ClipSpec) -> tuple[int, ...]:
        """The fragments of a clip with an extractor, ascending.   Raises SpecError."""
        used = self.fragments_used or tuple(range(clip.fragments))
        if used[-1] >= clip.fragments:
            raise SpecError(f"fragments_used {used}, the clip has {clip.fragments} fragments")
        return used

    def to_json(self) -> dict[str, Any]:
        """Without `other_kind` where there is none, as before there was a choice."""
        values = dataclasses.asdict(self)
        if not self.other_kind:
            del values["other_kind"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkSpec":
        """Strict: a missing or unknown field is a SpecError, nothing is filled in."""
        fields = strict_fields(cls, values)
        try:
            return cls(**fields)
        except TypeError as error:
            raise SpecError(f"network spec: {error}") from error


PAPER = NetworkSpec(
    width=1.0,
    normalisation="none",
    head_channels=(512, 512),
    head_hidden=(4096, 4096),
    dropout=0.8,
    fragments_used=None,
    target="final",
    readout=False,
    views=1,
)
COMPACT = NetworkSpec(
    width=1 / 8,
    normalisation="batch",
    head_channels=(32, 32),
    head_hidden=(64, 64),
    dropout=0.2,
    fragments_used=None,
    target="final",
    readout=False,
    views=1,
)
