"""
All options of a training run, as they are kept in its folder and in the checkpoint's card.

A field whose type is annotated with an option is an option of `train`; nothing else is needed.
`PRESETS["paper-literal"]` is [Li18] §4.2 to the letter, which does not learn; `paper` is the
reading of it that does (EXPERIMENTS.md, 2026-11-26). `compact` made the shipped checkpoints.

[Izmailov18] P. Izmailov et al. Averaging Weights Leads to Wider Optima. UAI 2018.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from model_store.network_spec import COMPACT, PAPER, NetworkSpec
from model_store.spec import SPECS, ClipSpec, read_action
from training.choices import MARGIN, Alpha, Precision, Schedule, Teach, alpha_of
from training.errors import RunError
from training.option_groups import HEAD, LOOKS, LOSS, MACHINE, SPLIT, START, WHOLE
from training.run_options import RunOptions

if TYPE_CHECKING:  # they need PyTorch and NumPy, for which `--help` would wait
    from training.data.subset import Subset
    from training.losses import Objective

SMALLEST = 16  # C3D halves frames, height and width four times


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec(RunOptions):
    """What fixes a run besides the bytes of its data."""

    rehearse: tuple[str, ...] = ()
    """Folders of clips, as the base was taught on, that are not to be forgotten."""
    rehearsal: Annotated[
        float,
        HEAD(
            min=0,
            max=1,
            help="What the error of a clip to --rehearse counts beside that of one of --data, when"
            " the linear path is fitted.",
        ),
    ] = 0.1
    apart: Annotated[
        bool,
        HEAD("--apart", help="Clips to --rehearse get a line of their own, and a gate tells them."),
    ] = False
    extractor: str | None = None
    """File of a pre-trained extractor that every fragment starts from."""
    base: str | None = None
    """NAME@VERSION of a published checkpoint that all weights start from instead."""
    new_head: Annotated[
        bool,
        START(
            "--new-head",
            help="Of the base take the extractors, for all --fragments or some; the head starts"
            " anew.",
        ),
    ] = False
    from_mean: Annotated[
        bool, START("--from-mean/--from-zero", help="Scores begin at the judged mean, or at 0.")
    ] = True
    seed: Annotated[int, SPLIT(min=0, max=2**31 - 1, help="Of weights, order and draws.")] = 0
    validation: Annotated[
        float, SPLIT(help="Share of the training split that is kept to measure the result on.")
    ] = 0.1
    folds: Annotated[
        int | None,
        SPLIT(
            min=2,
            help="Cross-validate: so many runs, OUT/fold-0 and on, each without a part of the"
            " clips; then one on all clips, in OUT, whose intervals come from the others.",
        ),
    ] = None
    fold: Annotated[int | None, SPLIT(min=0, help="Of --folds this one only, in OUT itself.")] = (
        None
    )
    clips: Annotated[
        int | None,
        SPLIT(
            min=2,
            help="Learn from so many clips only, with --folds in each of them; the clips that are"
            " held out stay the same. Which ones is a matter of --seed, and those of a smaller"
            " number are among those of a larger. Groups stay whole, so it may be a few more.",
        ),
    ] = None

    readout: Annotated[
        bool,
        HEAD(
            "--readout/--no-readout",
            help="Fit a linear path beside the head to the features of the extractors, in closed"
            " form, before anything is trained. With a base that is the default.",
        ),
    ] = False
    steadiness: Annotated[
        float,
        HEAD(
            min=0,
            help="What a change of the prediction between the versions of a clip counts beside an"
            " error, when the linear path is fitted.",
        ),
    ] = 3.0
    head_epochs: Annotated[
        int,
        HEAD(min=0, help="Epochs of the head, on features of frozen extractors: seconds each."),
    ] = 0
    head_variants: Annotated[
        int,
        HEAD(
            min=1,
            help="Versions of a clip (mirrored, shifted) that those features are of, its views"
            " first. With several views and --low-frame-rate the others are the views in turn, as"
            " copies at lower frame rates show them.",
        ),
    ] = 3
    head_batch: Annotated[
        int, HEAD(min=2, help="Clips a step there, at most an eighth of them.")
    ] = 64
    head_rate: Annotated[float, HEAD(min=0, help="Adam's learning rate there.")] = 1e-3
    epochs: Annotated[int, WHOLE(min=0, help="Epochs of the whole network.")]
    batch: Annotated[int, WHOLE(min=2, help="Clips a micro-batch, in each process, at most.")]
    accumulate: Annotated[
        int,
        WHOLE(
            min=1,
            help="Micro-batches a step. The ranking loss uses the pairs of each micro-batch, over"
            " all processes, and not those between micro-batches.",
        ),
    ] = 1
    processes: int = 1
    """That train together; the ranking loss uses pairs across them."""
    precision: Annotated[
        Precision, MACHINE(help="Of the extractors; auto is bfloat16 where that is quick.")
    ] = "auto"
    checkpointing: Annotated[
        bool,
        MACHINE("--checkpointing", help="Less memory: activations are computed again backwards."),
    ] = False
    extractor_rate: Annotated[float, WHOLE(min=0, help="Adam's learning rate, for extractors.")]
    rate: Annotated[float, WHOLE(min=0, help="The same for the head.")]
    schedule: Annotated[
        Schedule,
        WHOLE(help="Of the rates: steps falls by --decay, cosine rises, then falls to 1 %."),
    ]
    decay: Annotated[
        float, WHOLE(min=0, max=1, help="Factor on both rates every --decay-every steps.")
    ] = 0.45
    decay_every: Annotated[int, WHOLE(min=1, help="Steps from one fall to the next.")] = 600
    warmup: Annotated[
        float, WHOLE(min=0, max=1, help="Share of a phase's steps over which the rates rise.")
    ] = 0.05
    max_gradient: Annotated[float | None, WHOLE(min=0, help="Norm to clip gradients to.")] = None
    average: Annotated[
        float,
        WHOLE(max=1, help="Share of the steps, the last ones, whose mean weights are kept."),
    ] = 0.1
    """[Izmailov18]"""
    frozen_layers: Annotated[
        int,
        WHOLE(
            min=0,
            max=8,
            help="Number of first layers of each extractor that are not trained. They cost the"
            " most time.",
        ),
    ] = 0
    frozen_norm: Annotated[
        bool,
        WHOLE(
            "--frozen-norm/--batch-norm",
            help="Running statistics of batch normalisation stay as they are.",
        ),
    ] = False
    tied: Annotated[
        bool,
        WHOLE(
            "--tied/--untied",
            help="The extractors of all fragments share their weights; those of a base that differ"
            " start from their mean.",
        ),
    ] = False

    alpha: Annotated[
        Alpha,
        LOSS(
            parser=alpha_of,
            metavar="NUMBER|balance",
            help="Weight of the ranking loss; balance: its gradient is as large as the"
            " regression's.",
        ),
    ]
    beta: Annotated[float, LOSS(min=0, help="Weight of ‖w‖². The paper does not print its value.")]
    margin: Annotated[
        float, LOSS(min=0, help="Points by which the ranking loss wants two clips apart.")
    ] = MARGIN
    teach: Annotated[
        Teach,
        LOSS(
            help="judged: the scores. known: what the fragments shown determine of the score,"
            " without the judges' noise; only for simulated clips."
        ),
    ] = "judged"
    regression: bool = True
    """False leaves L1 out: the ranking-only rows of Table 1."""
    auxiliary: Annotated[
        float,
        LOSS(
            min=0,
            help="Weight of auxiliary heads that learn from tracks, in units of the scores'"
            " variance / 2.",
        ),
    ] = 0.0
    pairs: Annotated[
        float,
        LOSS(
            min=0,
            help="Weight of the loss on differences within counterfactual pairs, as"
            " `simulate --pairs` makes them, by what the kind of fault costs; in units of the"
            " scores' variance / 2.",
        ),
    ] = 0.0

    shift: Annotated[bool, LOOKS("--shift/--no-shift", help="Random start of the fragments.")] = (
        True
    )
    blanking: Annotated[float, LOOKS(help="Probability that fragments of a clip are blanked.")]

    def __post_init__(self) -> None:
        def require(holds: bool, need: str) -> None:
            if not holds:
                raise RunError(need)

        RunOptions.__post_init__(self)  # no super(): slots make another class of this one
        least = min(self.clip.fragment_length, *self.clip.crop)
        require(
            least >= SMALLEST,
            f"fragments are {self.clip.fragment_length} frames of {self.clip.height} x"
            f" {self.clip.width} pixels, need at least {SMALLEST} of each",
        )
        require(0 < self.validation < 1, f"validation is {self.validation}, need above 0, below 1")
        require(not (self.extractor and self.base), "give either an extractor or a base")
        require(bool(self.base) or not self.new_head, "--new-head needs --base")
        require(
            self.from_mean or not (self.has_base_head or self.readout),
            "--from-zero needs a new head and no readout: those begin in points",
        )
        require(
            self.fold is None or self.fold < (self.folds or 0),
            f"fold is {self.fold} of {self.folds}, need 0…k − 1 of k",
        )
        require(
            not self.frozen_layers or self.frozen_norm or self.network.normalisation == "none",
            "layers that stay as they are need frozen_norm",
        )
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
        require(self.epochs + self.head_epochs >= 1 or self.readout, "no epochs, need at least 1")
        require(not self.readout or self.network.readout, "a readout needs a network with one")
        require(
            not self.apart or bool(self.rehearse and self.readout and not self.has_base_head),
            "--apart needs clips to --rehearse, --readout and a new head",
        )
        require(
            not self.readout or bool(self.base or self.extractor) or not self.epochs,
            "a readout is fitted to what extractors see already: need a base or an extractor, or"
            " --epochs 0, which leaves the extractors as random as they begin",
        )
        require(0 <= self.blanking <= 1, f"blanking is {self.blanking}, need 0…1")
        require(self.average > 0, f"average is {self.average}, need above 0")
        require(
            self.alpha == "balance" or float(self.alpha) >= 0,
            f"alpha is {self.alpha!r}, need a number of at least 0 or balance",
        )

    @property
    def objective(self) -> "Objective":
        from training.losses import Objective

        return Objective(
            alpha=self.alpha, beta=self.beta, margin=self.margin, regression=self.regression
        )

    @property
    def has_base_head(self) -> bool:
        """Whether the head begins as that of a published checkpoint."""
        return bool(self.base) and not self.new_head

    @property
    def subset(self) -> "Subset | None":
        """What limits the clips to learn from."""
        from training.data.subset import Subset

        return None if self.clips is None else Subset(self.clips, self.seed)

    @property
    def uses_all(self) -> bool:
        """Whether no clips are kept for validation: the folds have measured it."""
        return self.folds is not None and self.fold is None

    @property
    def terms(self) -> str:
        """Of the loss, as the rows of Table 1 name them."""
        if not self.regression:
            return "ranking" if self.from_mean else "ranking, from 0"
        return "MSE" if self.alpha == 0 else "MSE + ranking"

    @property
    def fragments(self) -> tuple[int, ...]:
        """Those that the network looks at."""
        return self.network.used(self.clip)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunSpec":
        """Raises RunError for the options of something else, as a pre-training."""
        try:
            return cls(
                **values
                | {
                    "data": tuple(values["data"]),
                    "rehearse": tuple(values["rehearse"]),
                    "clip": ClipSpec.from_json(values["clip"]),
                    "network": NetworkSpec.from_json(values["network"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise RunError(f"these are no options of `train`: {error}") from error


LITERAL: dict[str, Any] = {
    "network": PAPER,
    "epochs": 100,
    "batch": 8,
    "extractor_rate": 10e-4,
    "rate": 10e-3,
    "schedule": "steps",
    "warmup": 0.0,
    "alpha": "balance",
    "beta": 1e-4,
    "blanking": 0.0,
    "readout": False,
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper-literal": LITERAL,
    # "10e-4" and "10e-3" are read as 1e-4 and 1e-3.
    "paper": LITERAL
    | {"extractor_rate": 1e-4, "rate": 1e-3, "warmup": 0.05, "max_gradient": 100.0},
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
        "readout": False,
        "flip": 0.5,
        "colour": 0.2,
        "zoom": 0.1,
    },
}
SET_BY_PRESETS = {name for options in PRESETS.values() for name in options}
SIZES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "paper-literal": ((128, 171), (112, 112)),
    "paper": ((128, 171), (112, 112)),
    "compact": ((64, 64), (64, 64)),
}


def preset_clip(preset: str, action: str) -> ClipSpec:
    """Of a shipped action, or of a file that describes one.   Raises RunError, SpecError."""
    if action in SPECS:
        return SPECS[action].with_size(*SIZES[preset])
    if not (action.endswith(".toml") or Path(action).is_file()):
        raise RunError(
            f"there is no action {action!r}: need one of {', '.join(SPECS)}, or a file, as"
            " my-action.toml"
        )
    return read_action(Path(action), *SIZES[preset])
