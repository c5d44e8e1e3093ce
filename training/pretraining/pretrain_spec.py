"""
All options of a pre-training, as they are kept in its folder.

A field whose type is annotated with an option is an option of `pretrain`.
"""

from dataclasses import dataclass
from typing import Annotated

from training.errors import RunError
from training.option_groups import PRETEXT, SPLIT
from training.run_options import Colour, Flip, RunOptions, Zoom


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSpec(RunOptions):
    extractor: str | None = None
    """A file of an earlier pre-training, whose weights it starts from."""
    keep: tuple[str, ...] = ()
    """Data set folders of clips whose features stay as the extractor that it starts from has them.
    """
    keep_weight: Annotated[
        float,
        PRETEXT(min=0, help="What the change of features of clips to --keep counts in the loss."),
    ] = 1.0
    keep_batch: Annotated[
        int, PRETEXT(min=2, help="Fragments of clips to --keep that come with each batch.")
    ] = 32
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
    flip: Flip = 0.5
    colour: Colour = 0.2
    zoom: Zoom = 0.1

    def __post_init__(self) -> None:
        super(PretrainSpec, self).__post_init__()
        if self.keep and self.extractor is None:
            raise RunError("--keep needs an --extractor to start from, whose features are kept")
