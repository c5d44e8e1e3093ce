"""
From the shell: `python -m model_store list | show | use | install | … | score |
panel | features`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from model_store.errors import CheckpointError, ModelStoreError
from model_store.features_command import features
from model_store.panel_command import panel
from model_store.score_command import score
from model_store.terminal import EngineChoice, StoreOption, fail, out, store_in

if TYPE_CHECKING:
    from model_store.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, inspect and verify checkpoints, score clips with them or take their features, and"
    " check the judges of a meet.\n\n"
    "Exit codes: 0 all well, 1 a clip or checkpoint is bad, 2 the command is, 3 (score --strict) a"
    " person should look at a clip.",
)
Reference = Annotated[str, typer.Argument(help="diving, or diving@1 for one version.")]


@app.command("list")
def list_checkpoints(folder: StoreOption = None) -> None:
    """All checkpoints, a line each."""
    store = store_in(folder)
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
        checkpoint = store_in(folder).load(reference)
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

    store = store_in(folder)
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
    store = store_in(folder)
    try:
        checkpoint = store.load(reference)
        store.make_current(checkpoint.name, checkpoint.version)
    except (CheckpointError, OSError) as error:
        fail(error)
    out.print(f"{checkpoint.name} now means version {checkpoint.version}")


@app.command()
def install(folder: StoreOption = None) -> None:
    """Copy the shipped versions that the store lacks; what its names mean stays."""
    from model_store.store import SHIPPED, Store

    store = store_in(folder)
    try:
        added = store.add_from(Store(SHIPPED))
    except (CheckpointError, OSError) as error:
        fail(error)
    out.print(Text(f"{store.root}: {', '.join(added) or 'nothing'} added"), soft_wrap=True)


@app.command()
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|FILE.tar.gz|ADDRESS",
            help="A checkpoint's folder, an archive that `export` has made, or an address of"
            " either, such as hf://somebody/diving or s3://bucket/diving-7.tar.gz (with the extra"
            " [remote]).",
        ),
    ],
    folder: StoreOption = None,
    make_current: Annotated[
        bool, typer.Option("--use", help="Let the bare name mean it; a new name does anyway.")
    ] = False,
) -> None:
    """Take a checkpoint into the store, once its hashes, weights and golden clip are verified."""
    from model_store.checkpoint import load_checkpoint
    from model_store.scorer import Scorer
    from model_store.transfer.sources import checkpoint_folder

    store = store_in(folder)
    try:
        with checkpoint_folder(source) as found:
            Scorer(load_checkpoint(found), "torch").check_golden()
            reference, is_new = store.add(found)
        name, _, version = reference.partition("@")
        if make_current:
            store.make_current(name, int(version))
        current = store.current(name)
    except (ModelStoreError, OSError) as error:
        fail(error)
    done = "added" if is_new else "is there already"
    text = f"{store.root}: {reference} {done}; {name} means version {current}"
    out.print(Text(text), soft_wrap=True)


@app.command()
def export(
    reference: Reference,
    to: Annotated[
        Path, typer.Option("--out", help="The file: .tar.gz for all of it, .onnx for the network.")
    ],
    folder: StoreOption = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write an ONNX file whatever the name (extra [onnx]).")
    ] = False,
) -> None:
    """Write a checkpoint to one file: an archive for `add`, or its network as ONNX.

    The ONNX file takes prepared clips, (B, T, H, W, 3) uint8, and gives their scores and features;
    contributions and intervals stay with this program.
    """
    from model_store.transfer.checkpoint_archive import write_archive

    try:
        checkpoint = store_in(folder).load(reference)
        if onnx or to.suffix == ".onnx":
            from model_store.transfer.onnx_model import write_onnx

            write_onnx(checkpoint, to)
        else:
            write_archive(checkpoint, to)
    except (ModelStoreError, OSError) as error:
        fail(error)
    out.print(Text(f"{to}: {checkpoint.reference}, {to.stat().st_size} bytes"), soft_wrap=True)


def references_of(store: "Store") -> list[str]:
    """All versions of a store.   Exits where it cannot be read."""
    try:
        return store.references()
    except CheckpointError as error:
        fail(error)


app.command()(score)
app.command()(panel)
app.command()(features)


def run(arguments: Sequence[str], program: str) -> None:
    """What the command line asks for, under the name that it was called by.   Exits."""
    app(list(arguments), prog_name=program)


if __name__ == "__main__":
    app()
