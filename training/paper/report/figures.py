"""
Fig. 2 and Fig. 5 of [Li18], drawn from measured runs, and a learning curve.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.measure.bootstrap import Estimate
from training.paper.report.results import DECLARED, LOSSES, VIDEO, DataSet, Fragments

COLOURS = {"MSE": "tab:blue", "ranking": "tab:orange", "MSE + ranking": "tab:green"}
WIDTH = 8.0  # inches


def by_fragment(data: DataSet) -> Figure:
    """Fig. 2: SRC of single fragments, with stages."""
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    loss, singles = data.singles()
    _bars(
        axes,
        {k: cell.spearman for k, cell in singles.items()},
        -0.2,
        f"trained on it alone, {loss}",
    )
    if (whole := data.beside_singles()) is not None:
        name, cell = whole
        label = f"all-fragments network, the others blanked, {name}"
        _bars(axes, dict(enumerate(cell.alone or [])), 0.2, label)
        axes.axhline(cell.spearman.value, color="black", lw=1, label=f"all fragments, {name}")
    if (alone := data.difficulty_alone) is not None:
        axes.axhline(alone.value, color="grey", lw=1, ls="--", label="declared difficulty alone")
    stages = [stage or "" for stage in data.stage_of_fragment]
    axes.set_xticks(range(data.fragments), [f"{k}\n{stage}" for k, stage in enumerate(stages)])
    axes.axhline(0, color="black", lw=0.5)
    axes.set_xlabel("fragment, and the stage that most of its frames show")
    axes.set_ylabel("Spearman")
    axes.set_title(f"{data.name}: single fragments", fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def sorted_predictions(data: DataSet) -> Figure:
    """Fig. 5: clips by judged score, what was predicted around it.

    Scores that were only to rank are in no unit, and left out.
    """
    choices = [
        (title, fragments)
        for title, fragments in (("last fragment", data.last), ("all fragments", data.all))
        if any(data.cell(loss, fragments) for loss in LOSSES)
    ]
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, max(1, len(choices)), sharey=True))
    for axes, (title, fragments) in zip(panels, choices, strict=False):
        _sorted(axes, data, fragments)
        axes.set_title(f"{data.name}: {title}", fontsize=10)
    panels[0].set_ylabel("points")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def learning_curve(data: DataSet) -> Figure:
    """Spearman by the number of clips that were learned from, a line for each start."""
    panels = [VIDEO, DECLARED] if data.has_declared else [VIDEO]
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    drawn = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, by in zip(drawn, panels, strict=True):
        for number, line in enumerate(data.curve):
            cells = {n: c if by == VIDEO else c.declared for n, c in line.cells.items()}
            found = {n: c.spearman_over_seeds for n, c in cells.items() if c is not None}
            shift = 1.03 ** (number - (len(data.curve) - 1) / 2)  # intervals beside one another
            sizes = np.array(list(found)) * shift
            values = np.array([each.value for each in found.values()])
            axes.errorbar(
                sizes, values, _reach(list(found.values())), marker="o", ms=4, lw=1.2, capsize=2,
                label=line.start,
            )  # fmt: skip
        if by == DECLARED and (alone := data.difficulty_alone) is not None:
            axes.axhline(alone.value, color="grey", lw=1, ls="--", label="difficulty alone")
        sizes = sorted({size for line in data.curve for size in line.cells})
        axes.set_xscale("log")
        axes.set_xticks(sizes, map(str, sizes))
        axes.minorticks_off()
        axes.set_xlabel("clips learned from")
        axes.set_title(f"{data.name}: {by}" if data.has_declared else data.name, fontsize=10)
    drawn[0].set_ylabel("Spearman")
    handles, labels = drawn[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _sorted(axes: Axes, data: DataSet, fragments: Fragments) -> None:
    judged = data.judged
    order = np.argsort(judged, kind="stable")
    axes.plot(judged[order], color="black", lw=1.5, label="judged")
    mean = data.training_mean.mean()  # those of the folds differ by little
    axes.axhline(mean, color="grey", lw=1, ls="--", label="training mean")
    for loss in LOSSES:
        cell = data.cell(loss, fragments)
        if cell is None or loss == "ranking":
            continue
        predicted = cell.predicted.mean(axis=0)  # (N,)
        axes.plot(predicted[order], ".", color=COLOURS[loss], ms=5, label=loss)
    axes.set_xlabel("clips, by judged score")


def _bars(axes: Axes, by_index: dict[int, Estimate], shift: float, label: str) -> None:
    if not by_index:
        return
    places = np.array(list(by_index)) + shift
    values = np.array([e.value for e in by_index.values()])
    reach = _reach(list(by_index.values()))
    axes.bar(places, values, width=0.38, alpha=0.8, label=label)
    axes.errorbar(places, values, reach, fmt="none", ecolor="black", elinewidth=0.8, capsize=2)


def _reach(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """(2, n): how far the intervals go below and above; one by percentiles need not hold its
    estimate."""
    each = [(max(0.0, e.value - e.low), max(0.0, e.high - e.value)) for e in estimates]
    return np.transpose(each)
