"""From the shell: `python -m model_store list | show | use | install | … | score | panel`."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from model_store.errors import CheckpointError, ModelStoreError
from model_store.panel_command import panel
from model_store.score_command import EngineChoice, StoreOption, fail, out, score
from model_store.store import SHIPPED, Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, inspect and verify checkpoints, score clips with them, and check the judges of a"
    " meet.\n\n"
    "Exit codes: 0 all well, 1 a clip or checkpoint is bad, 2 the command is, 3 (score --strict) a"
    " person should look at a clip.",
)
Reference = Annotated[str, typer.Argument(help="diving, or diving@1 for one version.")]


@app.command("list")
def list_checkpoints(folder: StoreOption = None) -> None:
    """All checkpoints, a line each."""
    store = Store(folder)
    table = Table("checkpoint", "action", "trained on", "created", "current", "sha256")
    bad = False
    for reference in references_of(store):
        try:
            checkpoint = store.load(reference)
            current = "yes" if store.current(checkpoint.name) == checkpoint.version else ""
        except CheckpointError as error:
            bad = True
            table.add_row(reference, Text(str(error), style="red"), "", "", "", "")
            continue
        card = checkpoint.card
        table.add_row(
            reference,
            Text(card.action),
            card.data.trained_on,
            f"{card.created:%Y-%m-%d}",
            current,
            checkpoint.sha256[:12],
        )
    out.print(table)
    raise typer.Exit(1 if bad else 0)


@app.command()
def show(reference: Reference, folder: StoreOption = None) -> None:
    """The card of a checkpoint, as JSON; the hashes of its clips are left to card.json."""
    try:
        checkpoint = Store(folder).load(reference)
    except CheckpointError as error:
        fail(error)
    out.print_json(checkpoint.card.model_dump_json(exclude={"clips"}))


@app.command()
def verify(
    reference: Annotated[str | None, typer.Argument(help="One; else all, every version.")] = None,
    folder: StoreOption = None,
    engine: Annotated[EngineChoice, typer.Option(help="For the golden clip.")] = EngineChoice.auto,
) -> None:
    """Check hashes, keys, shapes and values, and score the golden clip."""
    from model_store.scorer import Scorer

    store = Store(folder)
    references = [reference] if reference else references_of(store)
    bad = False
    for each in references:
        try:
            scorer = Scorer(store.load(each), engine.value)
            error = scorer.check_golden()
        except ModelStoreError as problem:
            bad = True
            out.print(Text.assemble(each, ": ", (str(problem), "red")), soft_wrap=True)
        else:
            out.print(f"{each}: ok, golden clip within {error:.4f} points on {scorer.engine.name}")
    if not references:
        fail(FileNotFoundError(f"no checkpoints in {store.root}"))
    raise typer.Exit(1 if bad else 0)


@app.command()
def use(
    reference: Annotated[str, typer.Argument(help="The version to use, such as diving@1.")],
    folder: StoreOption = None,
) -> None:
    """Let the bare name mean this version from now on: an upgrade, or a roll-back."""
    store = Store(folder)
    try:
        checkpoint = store.load(reference)
        store.make_current(checkpoint.name, checkpoint.version)
    except (CheckpointError, OSError) as error:
        fail(error)
    out.print(f"{checkpoint.name} now means version {checkpoint.version}")


@app.command()
def install(folder: StoreOption = None) -> None:
    """Copy the shipped versions that the store lacks; what its names mean stays."""
    store = Store(folder)
    try:
        added = store.add_from(Store(SHIPPED))
    except (CheckpointError, OSError) as error:
        fail(error)
    out.print(Text(f"{store.root}: {', '.join(added) or 'nothing'} added"), soft_wrap=True)


def references_of(store: Store) -> list[str]:
    """All versions of a store.   Exits where it cannot be read."""
    try:
        return store.references()
    except CheckpointError as error:
        fail(error)


app.command()(score)
app.command()(panel)


if __name__ == "__main__":
    app()
