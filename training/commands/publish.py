"""`python -m training publish`"""

import json
from pathlib import Path
from typing import Annotated

import typer

from training.commands.failures import told


def publish(
    run: Annotated[Path, typer.Option(help="Folder of a run of `train`.")],
    name: Annotated[str, typer.Option(help="The checkpoint's name; the service's action.")],
    metrics: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate`, to go into the card.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="Clip to ship as the golden one; else a validation clip.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the clips it was trained on.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Store float32 weights, not float16.")
    ] = False,
    store: Annotated[
        Path | None, typer.Option(envvar="SCORING_STORE", help="The store; else the shipped one.")
    ] = None,
) -> None:
    """Publish a run's best weights as the next version of a checkpoint, and make it current.

    Example: python -m training publish --run runs/diving --name diving
    """
    with told():
        from model_store.store import Store
        from training.errors import RunError
        from training.publish import publish as put
        from training.run_folder import RunFolder

        figures = None
        if metrics is not None:
            try:
                figures = json.loads(metrics.read_text())
            except (OSError, ValueError) as error:
                raise RunError(f"{metrics} is not readable JSON: {error}") from error
        checkpoint = put(
            RunFolder(run),
            Store(store),
            name,
            metrics=figures,
            golden=golden,
            licence=licence,
            half=not full,
        )
        typer.echo(f"published {checkpoint.name}@{checkpoint.version}: {checkpoint.path}")
