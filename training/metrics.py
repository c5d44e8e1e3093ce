"""
How well predictions agree with the judges. Each measure is (predicted, judged) -> float.

Shapes: N clips; anything that NumPy can make a vector of floats from.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


def spearman(predicted: ArrayLike, judged: ArrayLike) -> float:
    """Rank correlation, −1…1; ties share their mean rank. 0 where one side is constant.

    (A constant prediction ranks nothing, so it is worth what chance is worth.)
    Raises ValueError for fewer than 2 clips, different lengths, or values that are not finite.
    """
    a, b = _vectors(predicted, judged, least=2)
    a, b = rankdata(a), rankdata(b)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def mean_correlation(correlations: ArrayLike) -> float:
    """Average over several data sets, as published for AQA-7: tanh(mean(artanh(ρ))).   [Parmar19]

    It is the mean of Fisher's z, in which every data set counts alike; z of ±1 is that of the
    number next to it, about ±19. Raises ValueError for none, or for one that is not within −1…1.

    [Parmar19] P. Parmar, B. Morris. Action Quality Assessment Across Multiple Actions. WACV 2019.
    """
    each = np.asarray(correlations, np.float64)
    if each.ndim != 1 or not len(each) or not (np.abs(each) <= 1).all():
        raise ValueError(f"correlations are {each}, need at least one, each within −1…1")
    most = np.nextafter(1.0, 0.0)
    return float(np.tanh(np.arctanh(each.clip(-most, most)).mean()))


def mean_distance(predicted: ArrayLike, judged: ArrayLike) -> float:
    """Mean |s − g|, in points.   [Li18 "MED"]"""
    a, b = _vectors(predicted, judged, least=1)
    return float(np.abs(a - b).mean())


def relative_l2(predicted: ArrayLike, judged: ArrayLike) -> float:
    """mean(((s − g) / (g_max − g_min))²), usually quoted × 100. Not defined for a constant g."""
    a, b = _vectors(predicted, judged, least=2)
    span = float(np.ptp(b))
    if span == 0:
        raise ValueError("all judged scores are equal, need at least two different ones")
    return float(np.square((a - b) / span).mean())


def _vectors(
    predicted: ArrayLike, judged: ArrayLike, *, least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(predicted, np.float64), np.asarray(judged, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}, need two vectors of one length")
    if len(a) < least:
        raise ValueError(f"{len(a)} clips, need at least {least}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("scores that are not finite")
    return a, b
