"""
How the pictures of judged dives look, in numbers: real ones and simulated ones side by side.

    python -m training.simulator.appearance data/unlv-dive data/simulated-dives

prints brightness, contrast, saturation and sharpness at four moments of a dive, for each data set
folder, 10 / 50 / 90 % over its clips. The ranges of `looks.py` and `hall.py` are chosen so that
simulated dives cover what the real ones show, and more.
"""

import csv
import sys
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from training.simulator.looks import Pixels

MOMENTS = ("start", "flight", "entry", "after")
MEASURES = ("brightness", "contrast", "saturation", "sharpness")
_AFTER = 15  # frames after the splash begins
_QUANTILES = (0.1, 0.5, 0.9)


def measure(frame: Pixels) -> tuple[float, ...]:
    """Of one frame (H, W, 3), in the order of MEASURES.

    Mean and deviation of grey; mean saturation as HSV has it, 0–255; variance of the Laplacian of
    grey.
    """
    pixels = frame.astype(np.float64)
    grey, most, least = pixels.mean(axis=-1), pixels.max(axis=-1), pixels.min(axis=-1)
    saturation = 255 * (most - least) / np.maximum(most, 1)
    return grey.mean(), grey.std(), saturation.mean(), laplace(grey).var()


def moments(stage_starts: list[int], frames: int) -> list[int]:
    """Frames of a dive, in the order of MOMENTS."""
    start, takeoff, flight, entry, splash = stage_starts
    middle = ((start + takeoff) // 2, (flight + entry) // 2, (entry + splash) // 2)
    return [*middle, min(splash + _AFTER, frames - 1)]


def appearance(folder: Path) -> NDArray[np.float64]:
    """(clips, moments, measures) of the clips of a data set folder that have stages."""
    with (folder / "annotations.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["stage_starts"]]
    measured = []
    for row in rows:
        with av.open(str(folder / row["clip"])) as video:
            frames: Pixels = np.stack([f.to_ndarray(format="rgb24") for f in video.decode(video=0)])
        starts = [int(start) for start in row["stage_starts"].split()]
        measured.append([measure(frames[t]) for t in moments(starts, len(frames))])
    return np.array(measured)


def table(values: NDArray[np.float64]) -> str:
    """One line a measure, one column a moment."""
    quantiles = np.quantile(values, _QUANTILES, axis=0)  # (quantiles, moments, measures)
    lines = [f"{'':12}" + "".join(f"{moment:>20}" for moment in MOMENTS)]
    for m, name in enumerate(MEASURES):
        cells = (" / ".join(f"{q:.0f}" for q in row) for row in quantiles[:, :, m].T)
        lines.append(f"{name:12}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(f"{argument}\n{table(appearance(Path(argument)))}\n")
