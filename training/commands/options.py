"""Options that several commands share, and how their texts become values."""

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.spec import SPECS, ClipSpec, Pad
from training.choices import Alpha, Kind, LossTerms, Preset
from training.errors import RunError
from training.learn.run_spec import PRESETS
from training.option_groups import CLIPS, MACHINE


class Engine(StrEnum):
    auto = "auto"
    torch = "torch"
    openvino = "openvino"
    cuda = "cuda"


DataOption = Annotated[
    list[Path],
    typer.Option("--data", help="Data set folder; may be given again."),
]
KindOption = Annotated[
    Kind,
    typer.Option("--kind", metavar="KIND", help=f"How the folder is laid out: {', '.join(Kind)}."),
]
ActionOption = Annotated[
    str,
    typer.Option(
        "--action",
        metavar="NAME|FILE.toml",
        help=f"Whose clips these are: {', '.join(SPECS)}; or a file that describes another.",
    ),
]
PresetOption = Annotated[
    Preset,
    typer.Option("--preset", help="Network, clips and options; single options replace it."),
]
OutOption = Annotated[
    Path, typer.Option("--out", help="The run's folder; the same command again goes on with it.")
]
RestartOption = Annotated[
    bool,
    typer.Option("--restart", help="Remove the run that OUT holds, and nothing else, and begin."),
]
CacheOption = Annotated[
    Path | None, CLIPS("--cache", help="Decoded clips; else .cache in the first data set.")
]
ResizeOption = Annotated[
    str | None, CLIPS("--resize", help="HxW the picture is scaled to, as 64x86.")
]
CropOption = Annotated[str | None, CLIPS("--crop", help="HxW cut from its centre; else all of it.")]
PadOption = Annotated[Pad | None, CLIPS("--pad", help="Where short clips get blank frames.")]
StartOption = Annotated[
    int | None, CLIPS("--start", help="First frame of the first fragment when scoring.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", envvar="SCORING_STORE", help="The store; else the shipped one."),
]
SaveEvery = Annotated[
    float, MACHINE("--save-every", help="Seconds between two saved states.", min=0)
]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave; the others are None."""
    return {name: value for name, value in options.items() if value is not None}


def looks(augment: bool | None) -> dict[str, float]:
    """Fields of `RunSpec`: --augment is as much of it as the preset compact has."""
    if augment is None:
        return {}
    usual = PRESETS["compact"]
    return {name: usual[name] if augment else 0.0 for name in ("flip", "colour", "zoom")}


def loss_terms(preset: Alpha, terms: LossTerms | None, alpha: Alpha | None) -> dict[str, Any]:
    """Fields of `RunSpec`; `preset` is the α of a loss of which nothing is asked."""
    if terms is None:
        return {"alpha": preset if alpha is None else alpha}
    if (alpha is not None) if terms == "mse" else alpha == 0:
        raise RunError(f"alpha is {alpha}, which does not go with --loss {terms}")
    if terms == "mse":
        return {"alpha": 0.0}
    if terms == "ranking":
        return {"alpha": alpha or 1.0, "regression": False}
    return {"alpha": alpha or preset or "balance"}


def clip_spec(
    base: ClipSpec, resize: str | None, crop: str | None, pad: Pad | None, start: int | None
) -> ClipSpec:
    """The preset's clip with what was asked for."""
    if resize is not None:
        size = extent(resize)
        base = base.with_size(size, size if crop is None else extent(crop))
    elif crop is not None:
        base = base.with_size(base.resize, extent(crop))
    return dataclasses.replace(base, **given({"pad": pad, "start": start}))


def fragments_used(text: str, clip: ClipSpec) -> tuple[int, ...] | None:
    """ "all" -> None, "last" -> its index alone, "3" -> (3,), "0,3" -> (0, 3)"""
    if text == "all":
        return None
    if text == "last":
        return (clip.fragments - 1,)
    words = text.split(",")
    if not all(word.isdecimal() for word in words):
        raise RunError(f"fragments are {text!r}, need all, last, or indices as 3 or 0,3")
    used = tuple(sorted(set(map(int, words))))
    if used[-1] >= clip.fragments:
        raise RunError(f"fragments are {text!r}, the clip has 0…{clip.fragments - 1}")
    return used


def extent(text: str) -> tuple[int, int]:
    """ "64x86" -> (64, 86)"""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise RunError(f"size is {text!r}, need HxW, as 64x86")
    return int(height), int(width)
