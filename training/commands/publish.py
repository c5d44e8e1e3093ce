"""`python -m training publish`"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from training.commands.failures import exit_on_errors
from training.commands.options import StoreOption


def publish(
    name: Annotated[str, typer.Option(help="The checkpoint's name; the service's action.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run of `train`.")] = None,
    source: Annotated[
        Path | None, typer.Option(help="Instead: another store, whose NAME is copied as it is.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="JSON of `evaluate`, to go into the card.")
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            help="JSON of `evaluate --storage`: how much farther the intervals of clips reach that"
            " are stored in other ways."
        ),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(
            help="Clip to ship as the golden one; else one that was rehearsed, or validated."
        ),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the clips it was trained on.")] = None,
    about: Annotated[
        str | None,
        typer.Option(help="Name and owner of the data set. Default: the name of its folder."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Store float32 weights, not float16.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Publish a run's best weights as the next version of a checkpoint, and make it current.

    With --source a checkpoint is copied from another store, with what was measured since: train
    and calibrate there, and publish what has proved itself.

    Example: python -m training publish --run runs/diving --name diving
    """
    with exit_on_errors():
        from model_store.store import Store
        from training.display import warn
        from training.errors import RunError
        from training.learn.run_folder import RunFolder
        from training.release.publish import promote, publish_run, score_shifts

        def measured(file: Path) -> dict[str, Any]:
            try:
                figures = json.loads(file.read_text())
            except (OSError, ValueError) as error:
                raise RunError(f"{file} is not readable JSON: {error}") from error
            if not isinstance(figures, dict):
                raise RunError(f"{file} has no figures of `evaluate`")
            if seen := {role: n for role, n in figures.get("seen", {}).items() if n}:
                warn(f"{file} was measured on clips that had been seen: {seen}")
            return figures

        figures = None if metrics is None else measured(metrics)
        moved_by = None if storage is None else score_shifts(measured(storage))
        if source is not None:
            checkpoint = promote(Store(store), Store(source).load(name), figures, moved_by)
        elif run is not None:
            checkpoint = publish_run(
                RunFolder(run),
                Store(store),
                name,
                metrics=figures,
                moved_by=moved_by,
                golden=golden,
                licence=licence,
                about=about,
                half=not full,
            )
        else:
            raise RunError("give either --run FOLDER or --source STORE")
        typer.echo(f"published {checkpoint.reference}: {checkpoint.path}")
