"""
A comparison as one HTML file, which asks no other file or host for anything.

It names clips and shows none of their frames.
"""

import io
from collections.abc import Iterable, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from training.measure.bootstrap import CONFIDENCE
from training.measure.compare import Compared, Comparison, verdict

TITLES = {
    "spearman": "Spearman with the judges (more is better)",
    "mean_distance": "mean distance from the judges, points (less is better)",
    "coverage": "share of judged scores in the interval",
    "width": "mean width of the interval, points",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid #ccc; text-align: left }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
th[scope=row] {{ font-weight: normal; overflow-wrap: anywhere }}
svg {{ max-width: 100%; height: auto }}
</style>
</head>
<body>
<h1>{title}</h1>
{notes}
{verdict}
{tables}
<h2>Both scores of each clip</h2>
{plot}
<h2>Where they differ most</h2>
{clips}
</body>
</html>
"""


def page(comparison: Comparison, notes: Sequence[str]) -> str:
    """`notes` are what a reader must know first, as of clips that were in a training."""
    first, second = comparison.names
    interval = f"{second} − {first} ({CONFIDENCE:.0%} interval, paired bootstrap over clips)"
    tables = [
        f"<h2>By {escape(by)}</h2>"
        + _table(
            ("", first, second, interval),
            [(TITLES[name], *text_of(each)) for name, each in figures.items()],
        )
        for by, figures in comparison.figures.items()
    ]
    one, other = comparison.shown
    clips = (
        (
            comparison.clips[index].columns["clip"],
            *(f"{score:.2f}" for score in _three(comparison, index)),
            f"{other.predicted[index] - one.predicted[index]:+.2f}",
        )
        for index in comparison.most_different
    )
    return _PAGE.format(
        title=escape(f"{first} and {second} on {len(comparison.clips)} clips"),
        notes="".join(f"<p><strong>Note:</strong> {escape(note)}</p>" for note in notes),
        verdict="".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(comparison)),
        tables="\n".join(tables),
        plot=svg(plot(comparison)),
        clips=_table(("clip", "judged", first, second, "difference"), clips),
    )


def text_of(figure: Compared) -> tuple[str, str, str]:
    """The figure of the first, of the second, and the difference with its interval."""
    gap = figure.difference
    return (
        f"{figure.first:.3f}",
        f"{figure.second:.3f}",
        f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})",
    )


def plot(comparison: Comparison) -> Figure:
    """Both scores of each clip, and how far each is from the judges'."""
    judged, (one, other) = comparison.judged, comparison.shown
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    scores, distances = figure.subplots(1, 2)
    points = scores.scatter(one.predicted, other.predicted, c=judged, s=18, cmap="viridis")
    figure.colorbar(points, ax=scores, label="judged, points")
    off = [np.abs(each.predicted - judged) for each in (one, other)]
    distances.scatter(*off, s=18, color="tab:blue")
    for axes, title in ((scores, "score"), (distances, "distance from the judges, points")):
        low = min(axes.get_xlim()[0], axes.get_ylim()[0])
        high = max(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot((low, high), (low, high), color="grey", lw=1, ls="--")
        axes.set_xlabel(comparison.names[0])
        axes.set_ylabel(comparison.names[1])
        axes.set_title(title, fontsize=10)
    return figure


def svg(figure: Figure) -> str:
    """The same figure gives the same text."""
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "comparison"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return "<svg" + drawn.getvalue().partition("<svg")[2]


def _three(comparison: Comparison, index: int) -> tuple[float, float, float]:
    one, other = comparison.shown
    judged = float(comparison.judged[index])
    return judged, float(one.predicted[index]), float(other.predicted[index])


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
