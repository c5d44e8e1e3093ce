"""
All options of a training run, as they are kept in its folder and in the checkpoint's card.

`PRESETS["paper"]` is [Li18] §4.2 to the letter; `compact` is how the shipped checkpoints are made.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from model_store.network import COMPACT, PAPER, NetworkSpec
from model_store.spec import SPECS, ClipSpec
from training.augment import Augmentation
from training.errors import RunError
from training.forward import Precision
from training.losses import MARGIN, Alpha, Objective

Schedule = Literal["steps", "cosine"]
Teach = Literal["judged", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What fixes a run besides the bytes of its data."""

    data: tuple[str, ...]
    """Data set folders; their training splits are joined."""
    kind: str = "annotations"
    """Of their layout, as `--kind` has it."""
    clip: ClipSpec
    network: NetworkSpec
    extractor: str | None = None
    """File of a pre-trained extractor that every fragment starts from."""
    base: str | None = None
    """NAME@VERSION of a published checkpoint that all weights start from instead."""
    new_head: bool = False
    """Of the base take the extractors only; they may be fewer, and the head starts anew."""
    seed: int = 0
    validation: float = 0.1
    """Share of the training split that is kept for choosing the best weights."""
    folds: int | None = None
    """k of a k-fold cross-validation: part `fold`, 0…k − 1, of the training split is kept."""
    fold: int | None = None

    head_epochs: int = 0
    """Epochs of the head alone, on features of frozen extractors, before all is trained."""
    head_variants: int = 3
    """Versions of each clip (start shift and look) that those features are computed for."""
    head_batch: int = 64
    head_rate: float = 1e-3
    epochs: int
    batch: int
    """Clips of a micro-batch in each process."""
    accumulate: int = 1
    """Micro-batches a step; the ranking loss uses the pairs of each."""
    processes: int = 1
    """That train together; the ranking loss uses pairs across them."""
    precision: Precision = "auto"
    """In which extractors compute; auto is bfloat16 where that is quick."""
    checkpointing: bool = False
    """Keep no activations of extractors; compute them again in the backward pass."""
    extractor_rate: float
    """Adam's learning rate for the extractors, and for the head:"""
    rate: float
    schedule: Schedule
    decay: float = 0.45
    """Factor on both rates every `decay_every` steps; cosine falls to 1 % instead."""
    decay_every: int = 600
    warmup: float = 0.05
    """Share of the steps over which cosine rates rise from 0."""
    max_gradient: float | None = None
    """Norm that gradients are clipped to."""
    frozen_layers: int = 0
    """First layers of each extractor that stay as they are while all is trained: the dearest."""
    frozen_norm: bool = False
    """Keep the running statistics of batch normalisation as they are while all is trained."""

    alpha: Alpha
    """Weight of the ranking loss, or "balance"."""
    beta: float
    """Weight of ‖w‖². The paper does not print its value."""
    margin: float = MARGIN
    teach: Teach = "judged"
    """judged: the score, whatever is blanked. known: see `known_scores.py`; simulated clips."""
    regression: bool = True
    """False leaves L1 out: the ranking-only rows of Table 1."""
    auxiliary: float = 0.0
    """Weight of the loss of the throw-away heads, in units of the scores' variance / 2."""

    pairs: float = 0.0
    """Weight of the loss on differences within counterfactual pairs, see `pairs.py`."""

    shift: bool = True
    blanking: float
    """Probability that some fragments of a clip are blanked."""
    flip: float = 0.0
    colour: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        def require(holds: bool, need: str) -> None:
            if not holds:
                raise RunError(need)

        require(0 < self.validation < 1, f"validation is {self.validation}, need 0…1")
        require(not (self.extractor and self.base), "give either an extractor or a base")
        require(bool(self.base) or not self.new_head, "a new head needs a base to be new to")
        require(
            self.teach == "judged" or self.network.target == "final",
            f"what is known is a final score, the network's target is {self.network.target}",
        )
        require(
            (self.folds is None and self.fold is None)
            or (self.fold is not None and 0 <= self.fold < (self.folds or 0) >= 2),
            f"fold is {self.fold} of {self.folds}, need 0…k − 1 of k, at least 2",
        )
        require(
            not self.frozen_layers or self.frozen_norm or self.network.normalisation == "none",
            "layers that stay as they are need frozen_norm",
        )
        require(self.batch >= 2, f"batch is {self.batch}, need at least 2")
        require(self.accumulate >= 1, f"accumulate is {self.accumulate}, need at least 1")
        require(
            not self.checkpointing or self.frozen_norm or self.network.normalisation == "none",
            "with checkpointing batch statistics would be counted twice: need frozen_norm, or a"
            " network without normalisation",
        )
        require(
            self.processes == 1
            or not self.epochs
            or self.frozen_norm
            or self.network.normalisation == "none",
            f"{self.processes} processes would each normalise with the statistics of their share of"
            " a batch: need frozen_norm (--frozen-norm), or a network without normalisation",
        )
        require(
            self.regression or self.alpha != 0, "neither regression nor ranking: nothing to learn"
        )
        require(self.epochs + self.head_epochs >= 1, "no epochs, need at least 1")
        require(min(self.epochs, self.head_epochs) >= 0, "epochs below 0")
        require(0 <= self.blanking <= 1, f"blanking is {self.blanking}, need 0…1")
        require(
            self.alpha == "balance" or float(self.alpha) >= 0,
            f"alpha is {self.alpha!r}, need a number of at least 0 or balance",
        )
        require(self.pairs >= 0, f"pairs is {self.pairs}, need at least 0")
        require(
            not self.pairs or self.batch % 2 == self.head_batch % 2 == 0,
            f"batch is {self.batch}, need an even number that keeps pairs together",
        )
        require(self.auxiliary >= 0, f"auxiliary is {self.auxiliary}, need at least 0")
        try:
            self.augmentation  # noqa: B018 it checks its own fields
        except ValueError as error:
            raise RunError(str(error)) from error

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(flip=self.flip, colour=self.colour, zoom=self.zoom)

    @property
    def objective(self) -> Objective:
        return Objective(
            alpha=self.alpha, beta=self.beta, margin=self.margin, regression=self.regression
        )

    @property
    def part(self) -> tuple[int, int] | None:
        """(i, k) of a cross-validation."""
        return None if self.folds is None or self.fold is None else (self.fold, self.folds)

    @property
    def terms(self) -> str:
        """Of the loss, as the rows of Table 1 name them."""
        if not self.regression:
            return "ranking"
        return "MSE" if self.alpha == 0 else "MSE + ranking"

    @property
    def fragments(self) -> tuple[int, ...]:
        """Those that the network looks at."""
        return self.network.fragments_used or tuple(range(self.clip.fragments))

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "data": list(self.data),
            "clip": self.clip.to_json(),
            "network": self.network.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunSpec":
        """Raises RunError for the options of something else, as a pre-training."""
        try:
            return cls(
                **values
                | {
                    "data": tuple(values["data"]),
                    "clip": ClipSpec.from_json(values["clip"]),
                    "network": NetworkSpec.from_json(values["network"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise RunError(f"these are no options of `train`: {error}") from error


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "network": PAPER,
        "epochs": 100,
        "batch": 8,
        "extractor_rate": 10e-4,
        "rate": 10e-3,
        "schedule": "steps",
        "alpha": "balance",
        "beta": 1e-4,
        "blanking": 0.0,
    },
    "compact": {
        "network": COMPACT,
        "epochs": 12,
        "batch": 32,
        "extractor_rate": 5e-4,
        "rate": 1e-3,
        "schedule": "cosine",
        "max_gradient": 100.0,
        "alpha": 0.0,
        "beta": 0.0,
        "blanking": 0.5,
        "flip": 0.5,
        "colour": 0.2,
        "zoom": 0.1,
    },
}
SIZES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "paper": ((128, 171), (112, 112)),
    "compact": ((64, 64), (64, 64)),
}


def preset_clip(preset: str, action: str) -> ClipSpec:
    return SPECS[action].with_size(*SIZES[preset])
