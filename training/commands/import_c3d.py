"""`python -m training import-c3d`"""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.failures import exit_on_errors


def import_c3d(
    source: Annotated[
        Path, typer.Argument(help="c3d.pickle, c3d-pretrained.pth or c3d_sports1m_pretrain_*.pth.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for extractor.safetensors.")],
) -> None:
    """Take the convolutions of published C3D weights, for `train --preset paper --extractor`.

    Where the file has the layer fc6 it is kept too, for `baseline --method c3d-svr` and `c3d-lstm`.
    Nothing in the file is run. Which of the three it is shows in its keys; colour order and mean
    are kept with the weights, and the run that starts from them uses them.

    Example: python -m training import-c3d c3d.pickle --out runs/sports1m
    """
    with exit_on_errors():
        from training.learn.run_folder import EXTRACTOR, RunFolder
        from training.learn.summary import record_command
        from training.pretraining.published_c3d import convert_c3d

        converted = convert_c3d(source, out / EXTRACTOR)
        scheme = converted.scheme
        record_command(RunFolder(out))
        mean = ", ".join(f"{value:g}" for value in scheme.mean)
        has = "with fc6" if converted.has_fc6 else "without fc6"
        typer.echo(
            f"extractor: {out / EXTRACTOR} ({scheme.name}: {scheme.colour_order}, minus {mean};"
            f" {has})"
        )
