"""Options that several commands share, and how their texts become values."""

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.spec import ClipSpec
from training.datasets.kinds import Kind
from training.errors import RunError


class Action(StrEnum):
    diving = "diving"
    vault = "vault"
    skating = "skating"


class Preset(StrEnum):
    compact = "compact"
    paper = "paper"


class Teach(StrEnum):
    judged = "judged"
    known = "known"


class LossTerms(StrEnum):
    mse = "mse"
    ranking = "ranking"
    both = "both"


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Pad(StrEnum):
    start = "start"
    end = "end"


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
OutOption = Annotated[
    Path, typer.Option("--out", help="The run's folder; the same command again goes on with it.")
]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Decoded clips; else .cache in the first data set.")
]
ResizeOption = Annotated[
    str | None, typer.Option("--resize", help="HxW the picture is scaled to, as 64x86.")
]
CropOption = Annotated[
    str | None, typer.Option("--crop", help="HxW cut from its centre; else all of it.")
]
PadOption = Annotated[Pad | None, typer.Option("--pad", help="Where short clips get blank frames.")]
StartOption = Annotated[
    int | None, typer.Option("--start", help="First frame of the first fragment when scoring.")
]
SaveEvery = Annotated[
    float, typer.Option("--save-every", help="Seconds between two saved states.", min=0)
]


def loss_terms(preset: float | str, terms: LossTerms | None, alpha: str | None) -> dict[str, Any]:
    """Fields of `RunSpec`; `preset` is the α of a loss of which nothing is asked."""
    try:
        given = alpha if alpha is None or alpha == "balance" else float(alpha)
    except ValueError as error:
        raise RunError(f"alpha is {alpha!r}, need a number or balance") from error
    if terms is None:
        return {"alpha": preset if given is None else given}
    if (given is not None) if terms == LossTerms.mse else given == 0:
        raise RunError(f"alpha is {alpha}, which does not go with --loss {terms.value}")
    if terms == LossTerms.mse:
        return {"alpha": 0.0}
    if terms == LossTerms.ranking:
        return {"alpha": given or 1.0, "regression": False}
    return {"alpha": given or preset or "balance"}


def clip_spec(
    base: ClipSpec, resize: str | None, crop: str | None, pad: Pad | None, start: int | None
) -> ClipSpec:
    """The preset's clip with what was asked for."""
    if resize is not None:
        size = extent(resize)
        base = base.with_size(size, size if crop is None else extent(crop))
    elif crop is not None:
        base = base.with_size(base.resize, extent(crop))
    changes = {"pad": None if pad is None else pad.value, "start": start}
    return dataclasses.replace(base, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]


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
