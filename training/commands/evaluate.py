"""`python -m training evaluate`"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from training.commands.failures import told
from training.commands.options import Engine


def evaluate(
    checkpoint: Annotated[str, typer.Option(help="NAME, or NAME@VERSION.")],
    data: Annotated[
        Path | None, typer.Option(help="Data set folder; its test split is measured.")
    ] = None,
    simulate: Annotated[
        int | None, typer.Option(min=2, help="Instead: this many clips, simulated now.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated clips.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    engine: Annotated[Engine, typer.Option(help="What runs the network.")] = Engine.auto,
    store: Annotated[
        Path | None, typer.Option(envvar="SCORING_STORE", help="The store; else the shipped one.")
    ] = None,
) -> None:
    """Measure a checkpoint on judged clips that it has not seen, as the service would score them.

    Example: python -m training evaluate --checkpoint diving --simulate 300 --seed 7
    """
    with told():
        from model_store.scorer import Scorer
        from model_store.store import Store
        from training.datasets.annotations import read_annotations
        from training.display import bar
        from training.errors import RunError
        from training.evaluate import measures, score_clips

        if (data is None) == (simulate is None):
            raise RunError("give either --data FOLDER or --simulate N")
        scorer = Scorer(Store(store).load(checkpoint), engine.value)
        with tempfile.TemporaryDirectory() as temporary:
            if data is not None:
                clips = read_annotations(data, "test")
                source: dict[str, Any] = {"data": str(data), "split": "test"}
            else:
                clips = read_annotations(
                    _simulated(scorer.spec.action, simulate or 0, seed, Path(temporary))
                )
                source = {"simulated": simulate, "seed": seed}
            with bar("clips") as shown:
                evaluation = score_clips(
                    scorer, clips, lambda done, total: shown.update(done, total, phase="scoring")
                )
        figures = measures(evaluation) | source
        print_figures(figures)
        if json_file is not None:
            json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _simulated(action: str, clips: int, seed: int, folder: Path) -> Path:
    from training.errors import RunError
    from training.simulator.dataset import write_dataset

    if action not in ("diving", "vault"):
        raise RunError(f"there is no simulator for {action}, give --data")
    write_dataset(action, clips, seed, folder / "data")
    return folder / "data"


def print_figures(figures: dict[str, Any]) -> None:
    """As a table; figures in blocks come below those of the model."""
    table = Table("", "", title=f"{figures['checkpoint']} on {figures['clips']} clips")
    for name in ("spearman", "mean_distance", "distance_share", "relative_l2"):
        if figures[name] is not None:
            table.add_row(name.replace("_", " "), f"{figures[name]:.4f}")
    table.add_section()
    for block in ("training_mean", "difficulty_alone"):
        for name, value in figures.get(block, {}).items():
            table.add_row(f"{block}: {name}".replace("_", " "), f"{value:.4f}")
    Console().print(table)
