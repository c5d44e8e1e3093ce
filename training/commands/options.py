"""Options that several commands share, and how their texts become values."""

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated

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


def extent(text: str) -> tuple[int, int]:
    """ "64x86" -> (64, 86)"""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise RunError(f"size is {text!r}, need HxW, as 64x86")
    return int(height), int(width)
