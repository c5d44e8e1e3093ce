"""`python -m training datasets check`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import KindOption

if TYPE_CHECKING:
    from training.data.datasets.check import Findings, Spread

datasets = typer.Typer(no_args_is_help=True, help="Look at data sets.")


@datasets.callback()
def _named() -> None:
    """Look at data sets."""


@datasets.command()
def check(
    path: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    kind: KindOption = Kind.annotations,
) -> None:
    """Read a data set as the other commands would, open every clip, and print what was found.

    Something missing, contradictory or not a video is one message and exit code 2.

    Example: python -m training datasets check --kind unlv-dive data/unlv-dive
    """
    with exit_on_errors():
        from training.data.datasets.check import check_dataset
        from training.display import bar

        with bar("clips") as shown:
            findings = check_dataset(kind, path, shown.progress("opening"))
        print_findings(f"{kind} in {path}", findings)


def print_findings(title: str, findings: "Findings") -> None:
    console = Console()
    console.print(Text(title), soft_wrap=True)  # as a table's title a long path would be broken
    table = Table("split", "clips", "as published", "score", "difficulty", "marks")
    for split in findings.splits:
        table.add_row(
            split.name,
            str(split.clips),
            "" if split.published is None else str(split.published),
            _spread(split.score),
            _spread(split.difficulty),
            ", ".join(map(str, split.marks)),
        )
    console.print(table)
    folders = sum(split.clips for split in findings.splits) - findings.videos
    frames, fps = findings.frames, findings.fps
    console.print(
        f"{findings.videos} videos and {folders} folders of frames;"
        f" {frames.least:.0f}–{frames.most:.0f} frames a clip, mean {frames.mean:.1f};"
        f" {fps.least:.4g}–{fps.most:.4g} frames a second",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"{findings.groups or 'no'} groups", highlight=False)
    if findings.classes is not None:
        console.print(f"{findings.classes} classes", highlight=False)
    for split in findings.splits:
        if split.published not in (None, split.clips):
            console.print(
                f"note: {split.clips} clips for {split.name}, {split.published} were published",
                highlight=False,
                soft_wrap=True,
            )


def _spread(spread: "Spread | None") -> str:
    if spread is None:
        return ""
    return f"{spread.mean:.2f} ± {spread.deviation:.2f}, {spread.least:.4g}–{spread.most:.4g}"
