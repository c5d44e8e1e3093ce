"""`python -m training report`"""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.failures import exit_on_errors
from training.commands.options import CacheOption, Engine


def report(
    run: Annotated[
        list[Path], typer.Option("--run", help="Folder of a run of `train`; may be given again.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for README.md, the PNGs and report.json.")],
    baseline: Annotated[
        list[Path] | None,
        typer.Option("--baseline", help="JSON of `baseline`; may be given again."),
    ] = None,
    note: Annotated[
        str | None, typer.Option(help="What readers must know first; goes to the top.")
    ] = None,
    cache: CacheOption = None,
    engine: Annotated[Engine, typer.Option(help="What runs the networks.")] = Engine.auto,
) -> None:
    """Draw the paper's tables and figures from any runs, on any data sets.

    Table 1 (loss terms), Table 2 (methods), Fig. 2 (single fragments), Fig. 3 and 4 (examples),
    Fig. 5 (predictions by judged score). Each run finds its place by its data, --loss and
    --fragments; runs that differ only in seed, fold or pre-training are averaged.

    A run is measured on the test split of its data, once: the predictions are kept in its folder. A
    run of `train --folds` is measured by its folds instead: every clip by the run that had not seen
    it, and no test split is opened. All runs of one data set must be measured alike.

    Below Table 1 stand the differences of the losses, with paired intervals over clips and seeds.
    Runs of `train --clips` make a learning curve. Frames are shown of simulated clips only. Of
    several actions of AQA-7 Table 2 has the average by Fisher's z.

    Example: python -m training report --run runs/last-mse --run runs/last-both --run runs/all-both
    --baseline runs/c3d-svr.json --out report
    """
    with exit_on_errors():
        from training.display import bar
        from training.paper.report.baseline_file import read_baseline
        from training.paper.report.document import write_report
        from training.paper.report.gathered import gather
        from training.paper.report.measured import measure

        baselines = [read_baseline(path) for path in baseline or []]
        measured = []
        with bar("clips") as shown:
            for number, path in enumerate(dict.fromkeys(run), 1):
                progress = shown.progress(f"run {number}/{len(run)}")
                measured.append(measure(path, engine.value, progress, cache=cache))
        for each in measured:
            each.seen.warn()
        written = write_report(gather(measured, baselines), out, note=note)
        typer.echo(f"report: {written}")
