"""
The report's folder: README.md with the tables, a PNG a figure, report.json with every number.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from model_store.files import replace_file
from training.measure.bootstrap import CONFIDENCE, RESAMPLES
from training.paper.report.baseline_file import Baseline
from training.paper.report.examples import last_fragments
from training.paper.report.figures import by_fragment, learning_curve, sorted_predictions
from training.paper.report.gathered import start_of
from training.paper.report.measured import MeasuredRun
from training.paper.report.methods import averaged, methods
from training.paper.report.results import Cell, DataSet
from training.paper.report.tables import (
    curve_table,
    differences_table,
    fragments_table,
    losses_table,
    markdown,
    methods_table,
)

DOTS_PER_INCH = 100
SIMULATED = (
    "> **Simulated clips.** The clips of {names} are made by this project's simulator. Nothing here"
    " says how well anything\n> scores real athletes; the published columns are of real clips and"
    " stand beside for orientation only."
)

DIFFERENCES = (
    "Differences of two losses with the same fragments; in brackets the {:.0%} interval by paired"
    " bootstrap over clips and seeds. Where it leaves 0 out, the difference is more than the chance"
    " of these clips and seeds. Scores that were only to rank are in no unit: their MED says"
    " little."
)
CURVE = (
    "SRC by the number of clips that each run learned from; the clips that measure are always the"
    " same. In brackets the {:.0%} interval by bootstrap over clips and seeds; a seed chooses the"
    " clips to learn from, and random weights."
)


def write_report(sets: Sequence[DataSet], out: Path, *, note: str | None = None) -> Path:
    """Make or replace the files in `out`; the path of its README.md.

    `note` is what a reader must know first.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {}
    for data in sets:
        if data.cells:
            figures[f"figure-2-{data.slug}.png"] = by_fragment(data)
            figures[f"figure-5-{data.slug}.png"] = sorted_predictions(data)
        if data.curve:
            figures[f"figure-curve-{data.slug}.png"] = learning_curve(data)
        if (examples := last_fragments(data)) is not None:
            figures[f"figure-3-{data.slug}.png"] = examples
    for name, figure in figures.items():
        replace_file(out / name, png(figure))
    replace_file(out / "report.json", (json.dumps(numbers(sets), indent=2) + "\n").encode())
    replace_file(out / "README.md", text(sets, set(figures), note).encode())
    return out / "README.md"


def text(sets: Sequence[DataSet], figures: set[str], note: str | None = None) -> str:
    simulated = [data.name for data in sets if data.simulated]
    lines = ["# Tables and figures", "", introduction(sets)]
    if simulated:
        lines += ["", SIMULATED.format(names=" and ".join(simulated))]
    if note is not None:
        lines += ["", note]
    lines.append("")
    with_cells = [data for data in sets if data.cells]
    with_frames = [data for data in sets if f"figure-3-{data.slug}.png" in figures]
    if with_cells:
        lines += ["## Table 1: loss terms", ""]
    for data in with_cells:
        lines += [f"{data.name}, {data.measured_on}:", "", losses_table(data), ""]
        if data.differences:
            lines += [DIFFERENCES.format(CONFIDENCE), "", differences_table(data), ""]
    if with_cells:
        lines += ["## Table 2: methods, SRC", "", methods_table(with_cells), ""]
    for title, number, table, shown in (
        ("Fig. 2: single fragments", 2, fragments_table, with_cells),
        ("Fig. 3 and 4: last fragments, at quantiles of the judged scores", 3, None, with_frames),
        ("Fig. 5: clips by judged score", 5, None, with_cells),
        ("Learning curve", "curve", curve_table, [data for data in sets if data.curve]),
    ):
        if not shown:
            continue
        lines += [f"## {title}", ""]
        if number == "curve":
            lines += [CURVE.format(CONFIDENCE), ""]
        for data in shown:
            if (name := f"figure-{number}-{data.slug}.png") in figures:
                lines += [f"![{title}, {data.name}]({name})", ""]
            if table is not None:
                lines += [table(data), ""]
    return "\n".join([*lines, "## Runs", "", runs_table(sets), ""])


def introduction(sets: Sequence[DataSet]) -> str:
    """How everything was measured."""
    ways = [f"{data.name} {data.measured_on}" for data in sets]
    folded = any(data.folds is not None for data in sets)
    tested = any(data.folds is None for data in sets)
    sentences = [
        "Made by `python -m training report`. SRC is Spearman's rank correlation, MED the mean"
        f" distance in points: {'; '.join(ways)}.",
        *(["No run has opened the test split."] if tested else []),
        *(
            [
                "By cross-validation every clip is predicted by a run that has not seen it. (What"
                " knows nothing of a clip correlates a little negatively there: it answers the mean"
                " of the other folds, which is lower where the clip's own fold was judged higher.)"
            ]
            if folded
            else []
        ),
        f"In brackets is the {CONFIDENCE:.0%} interval by bootstrap over the clips ({RESAMPLES}"
        " samples). Of several runs that differ in seed the mean is shown. Fragments count"
        " from 0.",
    ]
    if any(data.has_declared for data in sets):
        sentences.append(
            "Networks have two outputs: the final score by the video alone, and the execution,"
            " which gives the score once the declared difficulty is known. The figures show the"
            " first one where they do not say which."
        )
    return " ".join(sentences)


def runs_table(sets: Sequence[DataSet]) -> str:
    """What every figure rests on."""
    rows = []
    for data in sets:
        of_curve = [cell for line in data.curve for cell in line.cells.values()]
        for cell in (*data.cells.values(), *of_curve):
            for run in cell.runs:
                options = run.options
                used = options.network.fragments_used
                rows.append(
                    [
                        run.path.name,
                        data.name,
                        options.terms,
                        "all" if used is None else ", ".join(map(str, used)),
                        f"{options.clip.height}×{options.clip.width}, {options.network.width:g}",
                        _clips_of(run),
                        start_of(options),
                        str(options.seed),
                        f"{run.best['spearman']:.3f}",
                    ]
                )
    header = [
        "run", "data", "loss", "fragments", "pixels, width", "clips", "start and training",
        "seed", "validation SRC",
    ]  # fmt: skip
    return markdown(header, rows)


def _clips_of(run: MeasuredRun) -> str:
    splits = run.summary.splits
    if run.fold is None:
        return f"{splits['train']} train, {splits['validation']} validate, {len(run.clips)} test"
    limit = "" if run.options.clips is None else f", {run.options.clips} to learn from"
    return f"{len(run.clips)} in {run.options.folds} folds{limit}"


def numbers(sets: Sequence[DataSet]) -> dict[str, Any]:
    """Every number of the report, JSON-ready: by data set, and averages over those of AQA-7."""
    found = {
        data.name: {
            "trained_on": data.trained_on,
            "folds": data.folds,
            "clips": len(data.clips),
            "training_mean": float(data.training_mean.mean()),
            "always_the_mean": dataclasses.asdict(data.always_the_mean),
            "difficulty_alone": (alone := data.difficulty_alone) and dataclasses.asdict(alone),
            "stage_of_fragment": data.stage_of_fragment,
            "cells": [
                {"loss": loss, "fragments": list(fragments)} | numbers_of(cell)
                for (loss, fragments), cell in data.cells.items()
            ],
            "differences": [dataclasses.asdict(each) for each in data.differences],
            "curve": [
                {"start": line.start, "clips": clips}
                | numbers_of(cell)
                | {"spearman_over_seeds": dataclasses.asdict(cell.spearman_over_seeds)}
                for line in data.curve
                for clips, cell in line.cells.items()
            ],
            "baselines": [numbers_of_baseline(each) for each in data.baselines],
        }
        for data in sets
    }
    if chosen := averaged(sets):
        found["average over AQA-7"] = {
            method.name: average
            for method in methods(sets)
            if (average := method.average(chosen)) is not None
        }
    return found


def numbers_of(cell: Cell) -> dict[str, Any]:
    """Of a network with two outputs the second one's stand under `with_difficulty`."""
    found = {
        "runs": [run.path.name for run in cell.runs],
        "seen": [run.seen.counts for run in cell.runs],
        "spearman": dataclasses.asdict(cell.spearman),
        "mean_distance": dataclasses.asdict(cell.mean_distance),
    }
    if cell.declared is not None:
        found["with_difficulty"] = {
            "spearman": dataclasses.asdict(cell.declared.spearman),
            "mean_distance": dataclasses.asdict(cell.declared.mean_distance),
        }
    return found


def numbers_of_baseline(baseline: Baseline) -> dict[str, Any]:
    """Without the hashes and scores of its clips."""
    return {name: value for name, value in dataclasses.asdict(baseline).items() if name != "judged"}


def png(figure: Figure) -> bytes:
    """In 256 colours: a third of the bytes."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()
