"""`python -m training evaluate`"""

import json
import math
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import Engine, KindOption, StoreOption
from training.simulator.command import ClipStyle, StyleOption

FEWEST_FOR_PAIRS = 50  # simulated clips, for pairs that were not asked for
ROWS = (
    "spearman",
    "mean_distance",
    "distance_share",
    "relative_l2",
    "coverage",
    "width_share",
    "pairs_localised",
    "pairs_agreement",
    "pairs_agreement_by_kind_alone",
    "pairs_gain",
    "pairs_gain_least",
    "pairs_gain_largest",
    "pairs_ordered",
    "pairs_ordered_worst",
    "stage_agreement",
    "foreign_flagged",
    "own_flagged",
)
BLOCKS = (
    "training_mean",
    "difficulty_alone",
    "with_difficulty",
    "order",
    "shortcuts",
    "stage_agreement_by_stage",
)


def evaluate(
    checkpoint: Annotated[str, typer.Option(help="NAME, or NAME@VERSION.")],
    data: Annotated[
        Path | None, typer.Option(help="Data set folder; its test split is measured.")
    ] = None,
    kind: KindOption = Kind.annotations,
    simulate: Annotated[
        int | None, typer.Option(min=2, help="Instead: this many clips, simulated now.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated clips.")] = 0,
    pairs: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many counterfactual pairs to simulate, three of a ladder; as many as clips if"
            " not given, and none beside fewer than 50 clips.",
        ),
    ] = None,
    style: StyleOption = ClipStyle.plain,
    foreign: Annotated[
        Path | None,
        typer.Option(
            help="Folder of videos of something else; the share that is flagged or refused is"
            " reported."
        ),
    ] = None,
    storage: Annotated[
        bool,
        typer.Option(
            "--storage",
            help="Also store up to ten of the clips in other ways, and show how far scores move.",
        ),
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    engine: Annotated[Engine, typer.Option(help="What runs the network.")] = Engine.auto,
    store: StoreOption = None,
) -> None:
    """Measure a checkpoint on judged clips that it has not seen, as the service would score them.

    With --simulate counterfactual pairs are simulated too: two clips alike but for one fault.
    They show whether the contributions point at it, and whether they lose what it costs. Skating
    has no stages: what is measured by stage is left out.

    Example: python -m training evaluate --checkpoint diving --simulate 300 --seed 7
    """
    with exit_on_errors():
        from model_store.scorer import Scorer
        from model_store.store import Store
        from training.data.datasets.annotations import JudgedClip, read_annotations
        from training.data.judged_clips import open_clips
        from training.data.seen_clips import seen_by, seen_files
        from training.display import bar
        from training.errors import RunError
        from training.measure.evaluate import Evaluation, measures, score_clips
        from training.measure.reliability import (
            confidence_figures,
            difficulty_figures,
            flagged_share,
            foreign_files,
            fragment_figures,
            order_figures,
            pair_figures,
            shortcut_figures,
            stage_figures,
        )
        from training.measure.storage import storage_figures
        from training.simulator.dataset import RUNGS

        if (data is None) == (simulate is None):
            raise RunError("give either --data FOLDER or --simulate N")
        if pairs and simulate is None:
            raise RunError("--pairs are simulated: they need --simulate N")
        scorer = Scorer(Store(store).load(checkpoint), engine.value)

        def noticed(clips: list[JudgedClip]) -> dict[str, int]:
            seen = seen_by(scorer.checkpoint, clips)
            seen.warn()
            return seen.counts

        def scored(clips: list[JudgedClip], phase: str) -> Evaluation:
            with bar("clips") as shown:
                return score_clips(scorer, clips, shown.progress(phase))

        pair_measures: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as temporary:
            if simulate is None:
                clips = open_clips(kind, [data or Path()], scorer.spec, "test")
                source: dict[str, Any] = {"data": str(data), "kind": kind.value, "split": "test"}
            else:
                action, here = scorer.spec.action, Path(temporary)
                clips = read_annotations(_simulated(action, style, simulate, seed, here / "clips"))
                source = {"simulated": simulate, "seed": seed, "style": style.value}
            source["seen"] = noticed(clips)
            evaluation = scored(clips, "scoring")
            if simulate is not None and scorer.spec.stages:
                if pairs is None:
                    pairs = simulate if simulate >= FEWEST_FOR_PAIRS else 0
                if ladders := math.ceil(pairs / RUNGS):
                    folder = _simulated(
                        action, style, ladders, seed, here / "pairs", first=simulate, pairs=True
                    )
                    paired = read_annotations(folder)
                    noticed(paired)
                    pair_measures = pair_figures(scored(paired, "scoring pairs"))
            stored: dict[str, Any] = {}
            if storage:
                with bar("copies") as shown:
                    stored = storage_figures(scorer, clips, shown.progress("storing"))
        figures = measures(evaluation) | confidence_figures(evaluation) | stage_figures(evaluation)
        figures |= pair_measures | shortcut_figures(evaluation) | difficulty_figures(evaluation)
        figures |= fragment_figures(evaluation) | order_figures(evaluation)
        if foreign is not None:
            seen_files(scorer.checkpoint, foreign_files(foreign)).warn()
            figures |= {"foreign_flagged": flagged_share(scorer, foreign)}
        figures |= stored | source
        print_figures(figures["checkpoint"], figures)
        if storage:
            print_storage(figures["storage"])
        if json_file is not None:
            json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _simulated(
    action: str,
    style: ClipStyle,
    clips: int,
    seed: int,
    folder: Path,
    *,
    first: int = 0,
    pairs: bool = False,
) -> Path:
    from training.errors import RunError
    from training.simulator.actions import act_of
    from training.simulator.dataset import write_dataset

    try:
        act_of(action, style.value)
    except ValueError as error:
        raise RunError(f"{error}; give --data") from error
    write_dataset(action, clips, seed, folder, first=first, pairs=pairs, style=style.value)
    return folder


def print_figures(title: str, figures: dict[str, Any]) -> None:
    """As a table; figures in blocks come below those of the model."""
    table = Table("", "", title=Text(f"{title} on {figures['clips']} clips"))
    for name in ROWS:
        if figures.get(name) is not None:
            table.add_row(name.replace("_", " "), f"{figures[name]:.4f}")
    table.add_section()
    for block in BLOCKS:
        for name, value in figures.get(block, {}).items():
            if value is not None:
                table.add_row(Text(f"{block}: {name}".replace("_", " ")), f"{value:.4f}")
    Console().print(table)
    if by_kind := figures.get("pairs_by_kind"):
        print_pairs(by_kind)


def print_pairs(by_kind: dict[str, dict[str, Any]]) -> None:
    """What pairs of each kind of fault show."""
    table = Table("fault", "pairs", "ordered", "gain", "agreement", title="Pairs by kind of fault")
    for kind, each in by_kind.items():
        agreement = each["agreement"]
        table.add_row(
            Text(kind.replace("_", " ")),
            str(each["pairs"]),
            f"{each['ordered']:.3f}",
            f"{each['gain']:.2f}",
            "" if agreement is None else f"{agreement:.2f}",
        )
    Console().print(table)


def print_storage(rows: list[dict[str, Any]]) -> None:
    """How far scores move when clips are stored otherwise, points."""
    table = Table(
        "stored", "clips", "mean |Δ|", "worst Δ", "new warning", "new review", title="Stored anew"
    )
    for row in rows:
        table.add_row(
            row["stored"],
            str(row["clips"]),
            f"{row['mean_change']:.2f}",
            f"{row['worst_change']:+.2f}",
            str(row["new_warning"]),
            str(row["new_review"]),
        )
    Console().print(table)
