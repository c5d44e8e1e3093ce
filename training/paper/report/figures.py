"""
Fig. 2 and Fig. 5 of [Li18], drawn from measured runs.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.paper.report.bootstrap import Estimate
from training.paper.report.results import LOSSES, DataSet, Fragments

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
    if (whole := data.preferred(data.all)) is not None:
        cell = data.cells[whole]
        label = f"all-fragments network, the others blanked, {whole[0]}"
        _bars(axes, dict(enumerate(cell.alone)), 0.2, label)
        axes.axhline(cell.spearman.value, color="black", lw=1, label=f"all fragments, {whole[0]}")
    if (alone := data.difficulty_alone) is not None:
        axes.axhline(alone.value, color="grey", lw=1, ls="--", label="declared difficulty alone")
    stages = [stage or "" for stage in data.stage_of_fragment]
    axes.set_xticks(range(data.fragments), [f"{k}\n{stage}" for k, stage in enumerate(stages)])
    axes.axhline(0, color="black", lw=0.5)
    axes.set_xlabel("fragment, and the stage that most of its frames show")
    axes.set_ylabel("Spearman, test clips")
    axes.set_title(f"{data.name}: single fragments", fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def sorted_predictions(data: DataSet) -> Figure:
    """Fig. 5: test clips by judged score, what was predicted around it.

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


def _sorted(axes: Axes, data: DataSet, fragments: Fragments) -> None:
    judged = data.judged
    order = np.argsort(judged, kind="stable")
    axes.plot(judged[order], color="black", lw=1.5, label="judged")
    axes.axhline(data.training_mean, color="grey", lw=1, ls="--", label="training mean")
    for loss in LOSSES:
        cell = data.cell(loss, fragments)
        if cell is None or loss == "ranking":
            continue
        predicted = cell.predicted.mean(axis=0)  # (N,)
        axes.plot(predicted[order], ".", color=COLOURS[loss], ms=5, label=loss)
    axes.set_xlabel("test clips, by judged score")


def _bars(axes: Axes, by_index: dict[int, Estimate], shift: float, label: str) -> None:
    if not by_index:
        return
    places = np.array(list(by_index)) + shift
    values = np.array([e.value for e in by_index.values()])
    # A percentile interval need not hold its estimate.
    below = np.maximum(0, values - [e.low for e in by_index.values()])
    above = np.maximum(0, np.array([e.high for e in by_index.values()]) - values)
    axes.bar(places, values, width=0.38, alpha=0.8, label=label)
    axes.errorbar(
        places, values, [below, above], fmt="none", ecolor="black", elinewidth=0.8, capsize=2
    )
