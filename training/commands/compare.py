"""`python -m training compare`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import Engine, KindOption, StoreOption

if TYPE_CHECKING:
    from training.measure.compare import Comparison


def compare(
    checkpoint: Annotated[
        list[str], typer.Option(help="NAME, or NAME@VERSION; give two, the older one first.")
    ],
    data: Annotated[list[Path], typer.Option(help="Folder of judged clips; may be given again.")],
    kind: KindOption = Kind.annotations,
    split: Annotated[
        Literal["test", "train", "both"],
        typer.Option(help="Which of the clips. Those that trained one of the two flatter it."),
    ] = "test",
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="File for an HTML page with a plot. It shows no frames."),
    ] = None,
    engine: Annotated[Engine, typer.Option(help="What runs the networks.")] = Engine.auto,
    store: StoreOption = None,
) -> None:
    """Compare two checkpoints on the same judged clips: which one ranks and measures better.

    Differences are the second one's figure minus the first one's, with intervals by a paired
    bootstrap over the clips. Where an interval leaves out 0 the difference is more than the chance
    of these clips. Where every clip has a difficulty, the scores with it are compared too.

    Example: python -m training compare --checkpoint diving@10 --checkpoint our-dives --data
    data/our-meet --page compared.html
    """
    with exit_on_errors():
        from model_store.scorer import Scorer
        from model_store.store import Store
        from training.data.judged_clips import open_clips
        from training.data.seen_clips import seen_by
        from training.display import bar, warn
        from training.errors import RunError
        from training.measure.compare import compare as compared
        from training.measure.compare_page import page as page_of
        from training.measure.evaluate import score_clips

        if len(checkpoint) != 2:
            raise RunError(f"{len(checkpoint)} checkpoints, need --checkpoint twice")
        loaded = [Store(store).load(reference) for reference in checkpoint]
        first, second = (each.reference for each in loaded)
        if first == second:
            raise RunError(f"both are {first}, need two different ones")
        actions = [each.spec.action for each in loaded]
        if actions[0] != actions[1]:
            raise RunError(f"{first} is for {actions[0]}, {second} for {actions[1]}")
        clips = open_clips(kind, data, loaded[0].spec, None if split == "both" else split)
        seen = [seen_by(each, clips) for each in loaded]
        notes = [note for each in seen for note in each.notes]
        for note in notes:
            warn(note)
        evaluations = []
        for each in loaded:
            with bar("clips") as shown:
                progress = shown.progress(f"scoring by {each.reference}")
                evaluations.append(score_clips(Scorer(each, engine.value), clips, progress))
        comparison = compared(*evaluations)
        print_comparison(comparison)
        if json_file is not None:
            source = {
                "data": list(map(str, data)),
                "kind": kind.value,
                "split": split,
                "seen": {each.name: each.counts for each in seen},
            }
            json_file.write_text(json.dumps(comparison.to_json() | source, indent=2) + "\n")
        if page is not None:
            page.write_text(page_of(comparison, notes), encoding="utf-8")


def print_comparison(comparison: "Comparison") -> None:
    from training.measure.bootstrap import CONFIDENCE
    from training.measure.compare import verdict
    from training.measure.compare_page import TITLES, text_of

    console = Console()
    first, second = comparison.names
    for by, figures in comparison.figures.items():
        table = Table(
            "",
            first,
            second,
            f"difference ({CONFIDENCE:.0%})",
            title=Text(f"By {by}, {len(comparison.clips)} clips"),
        )
        for name, figure in figures.items():
            table.add_row(TITLES[name], *text_of(figure))
        console.print(table)
    for sentence in verdict(comparison):
        console.print(Text(sentence), soft_wrap=True)
    one, other = comparison.shown
    clip = Column("clip", overflow="fold")
    table = Table(clip, "judged", first, second, title="Where they differ most")
    for index in comparison.most_different:
        table.add_row(
            Text(comparison.clips[index].columns["clip"]),
            f"{comparison.judged[index]:.2f}",
            f"{one.predicted[index]:.2f}",
            f"{other.predicted[index]:.2f}",
        )
    console.print(table)
