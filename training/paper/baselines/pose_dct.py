"""
Pose+DCT: how every joint moves, as the low frequencies of its path.   [Pirsiavash14 §3]

Joints are taken relative to the head, so that where the picture is does not count; the magnitudes
of the first 50 coefficients of a discrete cosine transform describe each coordinate. Departures:
joints that were not seen are interpolated in time, and coefficients are divided by √T, so that
clips of different lengths compare.

Shapes: T frames, 17 joints.

[Pirsiavash14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from training.paper.baselines.poses import Joints

HEAD = 0  # COCO-17: nose
COEFFICIENTS = 50


def describe(joints: Joints) -> NDArray[np.float64]:
    """(T, 17, 2) -> (17 · 2 · 50,)"""
    paths = interpolated(joints.reshape(len(joints), -1)).reshape(joints.shape)
    paths = paths - paths[:, HEAD : HEAD + 1]
    spectrum = np.abs(dct(paths, axis=0, norm="ortho")) / np.sqrt(len(paths))
    low = np.zeros((COEFFICIENTS, *joints.shape[1:]))
    low[: len(spectrum)] = spectrum[:COEFFICIENTS]
    described: NDArray[np.float64] = low.ravel()
    return described


def interpolated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, J) with NaN -> without: linear in time, constant beyond the ends, 0 where never known."""
    times = np.arange(len(values))
    filled = np.zeros_like(values)
    for column, known in enumerate(~np.isnan(values).T):
        if known.any():
            filled[:, column] = np.interp(times, times[known], values[known, column])
    return filled
