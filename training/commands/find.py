"""`python -m training find`"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import Engine, KindOption, StoreOption

FIGURES = {
    "recordings": "recordings",
    "near": "both ends within 0.3 s",
    "begins_near": "beginning",
    "ends_near": "end",
    "near_in_points": "score within 1.5",
    "median_points": "median, points",
    "second_near": "second within 0.3 s",
    "cost": "× the time of reading all once",
    "several_routines": "warned of several",
    "no_routine": "warned of none",
    "nothing_noticed": "of none, and there is none",
}


def find(
    checkpoint: Annotated[str, typer.Option(help="NAME, or NAME@VERSION.")],
    recordings: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the recordings.")] = 8102,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data set folder: recordings of its cut clips in a row, not simulated ones. Every"
            " second clip is taken: those from which fit-finder does not learn."
        ),
    ] = None,
    kind: KindOption = Kind.annotations,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    engine: Annotated[Engine, typer.Option(help="What runs the network.")] = Engine.auto,
    store: StoreOption = None,
) -> None:
    """Measure how well the routine is found in longer recordings, and what that costs.

    The recordings are simulated: before and after the routine the athlete stands or walks, the
    camera shows water or the hall, or there are other athletes; or there are several routines.

    Example: python -m training find --checkpoint diving --recordings 100 --seed 8102
    """
    with exit_on_errors():
        from model_store.scorer import Scorer
        from model_store.store import Store
        from training.data.judged_clips import open_clips
        from training.display import bar
        from training.finding.measure import figures, find_all, simulated
        from training.finding.recordings import cut_clips
        from training.finding.strung import strung

        scorer = Scorer(Store(store).load(checkpoint), engine.value)
        if data is None:
            source = simulated(scorer.spec.action, seed, recordings)
        else:
            clips = open_clips(kind, [data], scorer.spec, "train")[1::2]
            source = strung(cut_clips(clips), seed, recordings)
        with bar("recordings") as shown:
            found = find_all(scorer, source, recordings, shown.progress("finding"))
        rows = figures(found)
        _print(scorer.checkpoint.reference, rows)
        if json_file is not None:
            about = {"checkpoint": scorer.checkpoint.reference, "seed": seed, "found": rows}
            json_file.write_text(json.dumps(about, indent=2) + "\n")


def _print(title: str, rows: dict[str, dict[str, Any]]) -> None:
    table = Table("", *rows, title=Text(title))
    for name, shown in FIGURES.items():
        values = (row[name] for row in rows.values())
        table.add_row(shown, *("" if v is None else f"{v:.4g}" for v in values))
    Console().print(table)
