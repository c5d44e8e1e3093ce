"""
What the options of a pre-training and of a training have in common.

A field whose type is annotated with an option is an option of the command, see `option_groups.py`.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec
from training.option_groups import LOOKS, check_limits

if TYPE_CHECKING:  # it needs PyTorch, for which `--help` would wait
    from training.data.augment import Augmentation

Flip = Annotated[float, LOOKS(min=0, max=1, help="Probability that left and right are exchanged.")]
Colour = Annotated[float, LOOKS(min=0, max=1, help="Share by which contrast and brightness vary.")]
Zoom = Annotated[
    float, LOOKS(min=0, max=0.5, help="Largest share of height and width that is cut away.")
]
LowFrameRate = Annotated[
    float,
    LOOKS(
        min=0,
        max=1,
        help="Probability that a clip is shown as its copy at a lower frame rate (for 30 frames a"
        " second 20 to 29) shows it: some pictures are missing, those beside them come twice.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    data: tuple[str, ...]
    """Data set folders; their training splits are joined."""
    kind: str = "annotations"
    """Of their layout, as `--kind` has it."""
    clip: ClipSpec
    network: NetworkSpec
    flip: Flip = 0.0
    colour: Colour = 0.0
    zoom: Zoom = 0.0
    low_frame_rate: LowFrameRate = 0.0

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def augmentation(self) -> "Augmentation":
        from training.data.augment import Augmentation

        return Augmentation(
            flip=self.flip,
            colour=self.colour,
            zoom=self.zoom,
            low_frame_rate=self.low_frame_rate,
        )

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        specs = {"clip": self.clip.to_json(), "network": self.network.to_json()}
        return values | lists | specs
