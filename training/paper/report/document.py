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
from training.paper.report.bootstrap import CONFIDENCE, RESAMPLES
from training.paper.report.examples import last_fragments
from training.paper.report.figures import by_fragment, sorted_predictions
from training.paper.report.results import DataSet
from training.paper.report.tables import fragments_table, losses_table, markdown, methods_table

DOTS_PER_INCH = 100
SIMULATED = (
    "> **Simulated clips.** The clips of {names} are made by this project's simulator. Nothing here"
    " says how well anything\n> scores real athletes; the published columns are of real clips and"
    " stand beside for orientation only."
)


def write_report(sets: Sequence[DataSet], out: Path, *, note: str | None = None) -> Path:
    """Make or replace the files in `out`; the path of its README.md.

    `note` is what a reader must know first.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {}
    for data in sets:
        figures[f"figure-2-{data.slug}.png"] = by_fragment(data)
        figures[f"figure-5-{data.slug}.png"] = sorted_predictions(data)
        if (examples := last_fragments(data)) is not None:
            figures[f"figure-3-{data.slug}.png"] = examples
    for name, figure in figures.items():
        replace_file(out / name, png(figure))
    replace_file(out / "report.json", (json.dumps(numbers(sets), indent=2) + "\n").encode())
    replace_file(out / "README.md", text(sets, set(figures), note).encode())
    return out / "README.md"


def text(sets: Sequence[DataSet], figures: set[str], note: str | None = None) -> str:
    simulated = [data.name for data in sets if data.trained_on == "simulated"]
    lines = [
        "# Tables and figures",
        "",
        "Made by `python -m training report`. SRC is Spearman's rank correlation, MED the mean"
        f" distance in points, both on the test split, which no run has opened; in brackets the"
        f" {CONFIDENCE:.0%} interval by bootstrap over the test clips ({RESAMPLES} samples). Of"
        " several runs that differ in seed or fold the mean is shown. Fragments count from 0.",
    ]
    if simulated:
        lines += ["", SIMULATED.format(names=" and ".join(simulated))]
    if note is not None:
        lines += ["", note]
    lines += ["", "## Table 1: loss terms", ""]
    for data in sets:
        lines += [f"{data.name}, {len(data.test)} test clips:", "", losses_table(data), ""]
    lines += ["## Table 2: methods, SRC", "", methods_table(sets), ""]
    for title, number, table in (
        ("Fig. 2: single fragments", 2, fragments_table),
        ("Fig. 3 and 4: last fragments, at quantiles of the judged scores", 3, None),
        ("Fig. 5: test clips by judged score", 5, None),
    ):
        lines += [f"## {title}", ""]
        for data in sets:
            if (name := f"figure-{number}-{data.slug}.png") in figures:
                lines += [f"![{title}, {data.name}]({name})", ""]
            if table is not None:
                lines += [table(data), ""]
    return "\n".join([*lines, "## Runs", "", runs_table(sets), ""])


def runs_table(sets: Sequence[DataSet]) -> str:
    """What every figure rests on."""
    rows = []
    for data in sets:
        for cell in data.cells.values():
            for run in cell.runs:
                splits, options = run.summary.splits, run.options
                used = options.network.fragments_used
                rows.append(
                    [
                        run.path.name,
                        data.name,
                        options.terms,
                        "all" if used is None else ", ".join(map(str, used)),
                        f"{options.clip.height}×{options.clip.width}, {options.network.width:g}",
                        f"{splits['train']} + {splits['validation']} + {len(run.clips)}",
                        f"{options.head_epochs} + {options.epochs}",
                        str(options.seed),
                        f"{run.best['spearman']:.3f}",
                    ]
                )
    header = [
        "run", "data", "loss", "fragments", "pixels, width", "clips: train + validation + test",
        "epochs: head + all", "seed", "validation SRC",
    ]  # fmt: skip
    return markdown(header, rows)


def numbers(sets: Sequence[DataSet]) -> dict[str, Any]:
    """Every number of the report, JSON-ready."""
    return {
        data.name: {
            "trained_on": data.trained_on,
            "test_clips": len(data.test),
            "training_mean": data.training_mean,
            "always_the_mean": dataclasses.asdict(data.always_the_mean),
            "difficulty_alone": (alone := data.difficulty_alone) and dataclasses.asdict(alone),
            "stage_of_fragment": data.stage_of_fragment,
            "cells": [
                {
                    "loss": loss,
                    "fragments": list(fragments),
                    "runs": [run.path.name for run in cell.runs],
                    "seen": [run.seen.counts for run in cell.runs],
                    "spearman": dataclasses.asdict(cell.spearman),
                    "mean_distance": dataclasses.asdict(cell.mean_distance),
                }
                for (loss, fragments), cell in data.cells.items()
            ],
            "baselines": [dataclasses.asdict(each) for each in data.baselines],
        }
        for data in sets
    }


def png(figure: Figure) -> bytes:
    """In 256 colours: a third of the bytes."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()
