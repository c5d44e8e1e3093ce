"""
All options of a pre-training, as they are kept in its folder.

A field whose type says how it is asked for is an option of `pretrain`.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from model_store.network_spec import NetworkSpec
from model_store.spec import ClipSpec
from training.errors import RunError
from training.option_groups import LOOKS, PRETEXT, SPLIT, check_limits

if TYPE_CHECKING:  # it needs PyTorch, for which `--help` would wait
    from training.data.augment import Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSpec:
    data: tuple[str, ...]
    kind: str = "annotations"
    clip: ClipSpec
    network: NetworkSpec
    steps: Annotated[int, PRETEXT(min=1, help="Batches to learn from.")] = 4000
    batch: Annotated[int, PRETEXT(min=2, help="Fragments a batch.")] = 64
    rate: Annotated[float, PRETEXT(min=0, help="Largest learning rate of Adam.")] = 2e-3
    warmup: Annotated[
        float, PRETEXT(min=0, max=1, help="Share of the steps over which the rate rises from 0.")
    ] = 0.05
    seed: Annotated[int, SPLIT(min=0, max=2**31 - 1, help="Of weights, fragments and looks.")] = 0
    validation: Annotated[
        float, SPLIT(min=0, max=1, help="Share of the clips that is kept for measuring.")
    ] = 0.1
    flip: Annotated[float, LOOKS(help="Probability that left and right are exchanged.")] = 0.5
    colour: Annotated[float, LOOKS(help="Share by which contrast and brightness vary.")] = 0.2
    zoom: Annotated[float, LOOKS(help="Largest share of height and width that is cut away.")] = 0.1

    def __post_init__(self) -> None:
        check_limits(self)
        try:
            self.augmentation  # noqa: B018 it checks its own fields
        except ValueError as error:
            raise RunError(str(error)) from error

    @property
    def augmentation(self) -> "Augmentation":
        from training.data.augment import Augmentation

        return Augmentation(flip=self.flip, colour=self.colour, zoom=self.zoom)

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "data": list(self.data),
            "clip": self.clip.to_json(),
            "network": self.network.to_json(),
        }
