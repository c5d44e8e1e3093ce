"""
Pose+DCT: how every joint moves, as the low frequencies of its path.   [Pirsiavash14 §3]

Joints are taken relative to the head, so that where the picture is does not count; the magnitudes
of the first coefficients of a discrete cosine transform describe each coordinate.

The rule: a coefficient means the same frequency in every clip. The paths are those of a window of
one length, at the rate of the action's clips, that ends with the last frame in which a joint is
known: of a dive that is the entry, of a vault the end of the clip. How long an athlete stands
before the routine does not count.

Departures: [Pirsiavash14] takes 50 coefficients of the whole clip. For dives the length of the
window and the number of coefficients were chosen by cross-validation on the training clips of
UNLV-Dive. Joints that were not seen are interpolated in time, before the first frame they lie on
the head, and coefficients are divided by √F.

Shapes: T frames of the file, F frames of the window, 17 joints.

[Pirsiavash14] H. Pirsiavash, C. Vondrick, A. Torralba. Assessing the Quality of Actions. ECCV 2014.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from model_store.spec import ClipSpec
from training.paper.baselines.poses import Joints

Floats = NDArray[np.float64]

HEAD = 0  # COCO-17: nose


@dataclass(frozen=True, slots=True)
class Window:
    frames: int
    """F, at the rate of the action's clips."""
    coefficients: int
    """At most F; the last of them is a frequency of rate · coefficients / 2F."""

    @classmethod
    def of(cls, spec: ClipSpec) -> "Window":
        if spec.action == "diving":
            return cls(90, 30)  # 3 s at 30 fps, up to 5 Hz
        return cls(spec.frames, min(50, spec.frames))


def describe(joints: Joints, rate: Fraction, spec: ClipSpec) -> Floats:
    """(T, 17, 2), frames a second of the file -> (coefficients · 17 · 2,)"""
    window = Window.of(spec)
    last = np.flatnonzero(~np.isnan(joints).all(axis=(1, 2)))[-1]
    at = last - np.arange(window.frames)[::-1] * float(rate / spec.fps)  # (F,) frames of the file
    paths = interpolated(joints.reshape(len(joints), -1), at).reshape(-1, *joints.shape[1:])
    paths -= paths[:, HEAD : HEAD + 1]
    paths[at < 0] = 0
    spectrum = np.abs(dct(paths, axis=0, norm="ortho")) / np.sqrt(window.frames)  # (F, 17, 2)
    described: Floats = spectrum[: window.coefficients].ravel()
    return described


def interpolated(values: Floats, at: Floats) -> Floats:
    """(T, J) with NaN, (F,) frames -> (F, J) without.

    Linear in time, constant beyond the first and the last known value, 0 where none is known.
    """
    times = np.arange(len(values))
    filled = np.zeros((len(at), values.shape[1]))
    for column, known in enumerate(~np.isnan(values).T):
        if known.any():
            filled[:, column] = np.interp(at, times[known], values[known, column])
    return filled
