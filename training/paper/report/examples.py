"""
Fig. 3 and 4 of [Li18]: frames of the last fragment, with what was predicted and what was judged.

The clips are not chosen by hand: they lie at fixed quantiles of the judged scores. Frames are
cut as the network gets them, at a size for people.

The rule: only a simulator's clips are shown. Frames of people who were filmed are not ours to
print.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_store.clip import prepare
from model_store.spec import ClipSpec
from training.data.file_times import read_timed
from training.paper.report.results import Cell, DataSet

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
COLUMNS = 6  # frames of the fragment
HEIGHT = 128  # pixels a frame


def last_fragments(data: DataSet) -> Figure | None:
    """The figure of one data set.

    None where a folder has not the simulator's mark, or where no run saw the last fragment.
    """
    if not data.simulated:
        return None
    chosen = data.preferred(data.last, data.all)
    if chosen is None:
        return None
    loss, fragments = chosen
    cell = data.cells[chosen]
    seen = "last fragment only" if fragments == data.last else "all fragments"
    clips = at_quantiles(cell.judged)
    figure = Figure(figsize=(8.0, 1.32 * len(clips) + 0.4), layout="constrained")
    grid = figure.subplots(len(clips), COLUMNS, squeeze=False)
    for row, clip in zip(grid, clips, strict=True):
        for axes, (number, frame) in zip(row, _frames(cell, clip), strict=True):
            axes.imshow(frame)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel(f"frame {number}", fontsize=6, labelpad=1)
        judged, predicted = cell.judged[clip], cell.predicted[:, clip].mean()
        row[0].set_ylabel(f"judged {judged:.2f}\npredicted {predicted:.2f}", fontsize=8)
    figure.suptitle(f"{data.name}: last fragment; predictions: {seen}, {loss}", fontsize=10)
    return figure


def at_quantiles(judged: NDArray[np.float64]) -> list[int]:
    """Clips whose scores lie at the quantiles, each once: (N,) -> indices."""
    order = np.argsort(judged, kind="stable")
    places = [round(q * (len(judged) - 1)) for q in QUANTILES]
    return [int(order[place]) for place in dict.fromkeys(places)]


def _frames(cell: Cell, clip: int) -> list[tuple[int, NDArray[np.uint8]]]:
    """Numbers in the prepared clip and (H, W, 3) RGB of some frames of the last fragment."""
    run = cell.runs[0]
    spec = enlarged(run.options.clip)
    decoded, _ = read_timed(run.clips[clip].source, spec)
    prepared = prepare(decoded.frames, spec)  # (T, H, W, 3)
    if spec.colour_order == "bgr":
        prepared = prepared[..., ::-1]
    numbers = spec.fragment_frames(spec.fragments - 1)
    picked = np.linspace(0, len(numbers) - 1, COLUMNS).round().astype(int)
    return [(numbers[i], prepared[numbers[i]]) for i in picked]


def enlarged(spec: ClipSpec) -> ClipSpec:
    """The same cut of the picture, about HEIGHT pixels high."""
    factor = HEIGHT / spec.height

    def scaled(size: tuple[int, int]) -> tuple[int, int]:
        return round(size[0] * factor), round(size[1] * factor)

    return spec.with_size(scaled(spec.resize), scaled(spec.crop))
