"""The PNG: every ratio beside its target, and cost as work grows beside a straight line."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from tests.bench.results import Results, Row, Verdict

COLOURS = {Verdict.PASS: "#2a7f4f", Verdict.MISS: "#b3261e", Verdict.SHOWN: "#777777"}


def draw(results: Results, path: Path) -> None:
    rows = [row for row in results.rows if row.ratio is not None]
    height = max(4.0, 0.24 * len(rows) + 1.5)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(15, height), width_ratios=(2.2, 1), layout="constrained"
    )
    _ratios(left, rows)
    _growth(right, results.growth)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _ratios(axes: Axes, rows: list[Row]) -> None:
    for at, row in enumerate(rows):
        assert row.ratio is not None
        colour = COLOURS[row.verdict]
        axes.plot([row.ratio.low, row.ratio.high], [at, at], color=colour, linewidth=2)
        axes.plot(row.ratio.value, at, "o", color=colour)
        if row.target is not None:
            mark = "<" if row.target.kind == "≤" else ">"
            axes.plot(row.target.bound, at, mark, color="black", markersize=7, fillstyle="none")
    axes.set_yticks(range(len(rows)), [f"{r.stage}: {r.case} / {r.peer}" for r in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.axvline(1, color="#bbbbbb", linewidth=1)
    axes.set_xlabel("ours / theirs, medians with quartiles; target: < at most, > at least")


def _growth(axes: Axes, growth: dict[str, list[tuple[float, float]]]) -> None:
    for name, points in growth.items():
        least = points[0][0]
        axes.plot([s / least for s, _ in points], [c for _, c in points], "o-", label=name)
    sizes = [s / points[0][0] for points in growth.values() for s, _ in points]
    if sizes:
        axes.plot([1, max(sizes)], [1, max(sizes)], color="black", linewidth=1, label="linear")
        axes.legend(fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="work, × the least", ylabel="cost, × that of it")
