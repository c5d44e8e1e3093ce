"""
What the commands of `python -m model_store` share: options, messages, and files that they write.

The rule: what a user wrote, a path or a name, is printed as it is. Rich would take `[final]` for a
style and `:dash:` for a picture, so such text is a `Text` and never a plain `str`. `--help` waits
for nothing heavy: what needs NumPy, Pydantic or FFmpeg is imported where it is used.
"""

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from model_store.errors import InvalidField

if TYPE_CHECKING:
    from model_store.store import Store
    from model_store.tables.clip_table import ClipRequest

BAD_INPUT, BAD_COMMAND, NEEDS_REVIEW = 1, 2, 3  # exit codes
STANDARD_OUTPUT = Path("-")

out, err = Console(), Console(stderr=True)

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", envvar="SCORING_STORE", help="The store's folder; else the shipped."),
]
ActionOption = Annotated[str, typer.Option("--action", help="Name of the checkpoint.")]
CheckpointOption = Annotated[
    str | None, typer.Option("--checkpoint", help="NAME@VERSION; wins over action.")
]
ClipsArgument = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, dir_okay=False, metavar="CLIP…", show_default=False),
]
AnnotationsOption = Annotated[
    Path | None,
    typer.Option(
        "--annotations",
        exists=True,
        dir_okay=False,
        metavar="FILE.csv",
        help="Instead: a table with a clip a row, see above.",
    ),
]


class EngineChoice(StrEnum):
    auto = "auto"
    torch = "torch"
    openvino = "openvino"
    cuda = "cuda"


def fail(error: Exception, code: int = BAD_INPUT) -> NoReturn:
    field = f"{error.field}: " if isinstance(error, InvalidField) else ""
    err.print(Text.assemble(("error:", "red"), f" {field}{error}"), soft_wrap=True)
    raise typer.Exit(code)


def store_in(folder: Path | None) -> "Store":
    from model_store.store import Store

    return Store(folder)


def check_either(clips: list[Path] | None, annotations: Path | None) -> None:
    """Exits where there is neither a clip nor a table, or both."""
    if bool(clips) == (annotations is not None):
        fail(ValueError("need either CLIP… or --annotations FILE.csv"), BAD_COMMAND)


def check_target(target: Path, inputs: Iterable[Path]) -> None:
    """Exits where the file cannot be written, or is one of those that are read.

    A command that scores for an hour should find that out before.
    """
    if target == STANDARD_OUTPUT or is_device(target):
        return
    if target.is_dir():
        fail(IsADirectoryError(f"{target} is a folder, need a file"))
    if not (target.parent.is_dir() and os.access(target.parent, os.W_OK)):
        fail(OSError(f"{target.parent} is not a folder that can be written to"))
    if target.is_file() and any(os.path.exists(each) and target.samefile(each) for each in inputs):
        fail(ValueError(f"{target} would be overwritten, and is read"), BAD_COMMAND)


def is_device(target: Path) -> bool:
    """Such as /dev/null or a pipe: it is written to, and never replaced by a file."""
    return target.exists() and not (target.is_file() or target.is_dir())


def files_read(annotations: Path | None, requests: Iterable["ClipRequest"]) -> list[Path]:
    table = [] if annotations is None else [annotations]
    return table + [request.path for request in requests]


def write_text(target: Path, text: str) -> None:
    """A file is written whole or not at all; `-` is the standard output.   Raises OSError."""
    # A name that is not in UTF-8 is written with the bytes that it has.
    write_bytes(target, text.encode(errors="surrogateescape"))


def write_bytes(target: Path, content: bytes) -> None:
    from model_store.files import replace_file

    if target == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    elif is_device(target):
        target.write_bytes(content)
    else:
        replace_file(target, content)
