"""
The pictures of a model card: predicted against judged scores, and what each fragment contributes.

    scores.png      every test clip: judged across, predicted up
    fragments.png   contributions by fragment, and how well each fragment alone ranks the clips,
                    which is the paper's Fig. 2 for this network

Drawn from the JSON of `evaluate`.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import io
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK, PALE = "#1f5fa8", "#9db8d6"


def card_pictures(figures: dict[str, Any]) -> dict[str, bytes]:
    """PNG files by name; {} for figures that were measured without them."""
    if not {"scores", "by_fragment"} <= figures.keys():
        return {}
    return {
        "scores.png": _png(_scores(figures)),
        "fragments.png": _png(_fragments(figures["by_fragment"])),
    }


def _scores(figures: dict[str, Any]) -> Figure:
    judged, predicted = figures["scores"]["judged"], figures["scores"]["predicted"]
    low, high = min(*judged, *predicted), max(*judged, *predicted)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([low, high], [low, high], color="0.6", linewidth=1, label="as judged")
    axes.axhline(
        figures["training_mean"]["score"], color="0.6", linestyle=":", label="always the mean"
    )
    axes.scatter(judged, predicted, s=9, color=INK, alpha=0.5, linewidths=0)
    axes.set_xlabel("judged, points")
    axes.set_ylabel("predicted, points")
    axes.set_title(f"{len(judged)} test clips, Spearman {figures['spearman']:.3f}")
    axes.set_aspect("equal")
    axes.legend(loc="upper left", frameon=False)
    return figure


def _fragments(by_fragment: dict[str, Any]) -> Figure:
    names = [f"{k}\n{stage or ''}" for k, stage in enumerate(by_fragment["stage"])]
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    boxes = [
        dict(zip(("whislo", "q1", "med", "q3", "whishi"), quantiles, strict=True))
        for quantiles in by_fragment["contribution_quantiles"]
    ]
    above.bxp(
        boxes,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": PALE},
        medianprops={"color": INK},
    )
    above.axhline(0, color="0.6", linewidth=1)
    above.set_ylabel("contribution, points")
    above.set_title("What each fragment adds or costs (5, 25, 50, 75, 95 % of the test clips)")
    positions = range(1, len(names) + 1)
    below.bar(positions, by_fragment["alone_spearman"], color=INK, width=0.6)
    below.axhline(0, color="0.6", linewidth=1)
    below.set_ylabel("Spearman")
    below.set_title("How well each fragment alone ranks the clips [Li18 Fig. 2]")
    below.set_xticks(positions, names)
    below.set_xlabel("fragment, and the stage that holds most of it")
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with matplotlib.rc_context({"font.size": 9}):
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()
