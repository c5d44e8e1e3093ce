"""`python -m training foreign`"""

from pathlib import Path
from typing import Annotated

import typer


def foreign(
    out: Annotated[Path, typer.Option(help="Folder to write the videos to.")],
    clips: Annotated[int, typer.Option(min=1, help="How many.")] = 140,
    seed: Annotated[int, typer.Option(min=0, help="Of everything in them.")] = 0,
) -> None:
    """Make videos that no checkpoint should judge, for `evaluate --foreign`.

    Noise, colours, cartoons, screens, titles, test patterns and pans over photographs.
    """
    from training.simulator.foreign import write_foreign

    typer.echo(f"{len(write_foreign(out, clips, seed))} videos in {out}")
