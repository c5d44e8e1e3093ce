"""Where on the ice a programme leads: curves that cover the rink, at rest where a spin is."""

import numpy as np

from training.simulator.body import Floats
from training.simulator.programme import Programme

HALF_LENGTH, HALF_DEPTH = 17.0, 7.0  # of the rink, body heights
SPEED = 0.42  # body heights a frame, on average, between elements
IN_ELEMENT = {"jump": 0.34, "spin": 0.0, "glide": 0.36}


def skating_path(programme: Programme, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """-> (T, 2) x and z of the faultless skater, and (T,) degrees of where the path leads."""
    phase = rng.uniform(0, 2 * np.pi, size=4)
    wind = float(rng.choice((1.0, 2.0)))  # an oval, or an eight
    angle = np.linspace(0, 30 * np.pi, 12_000)
    x = 10.8 * np.sin(angle) + 1.6 * np.sin(0.37 * angle + phase[0])
    z = 3.7 * np.sin(wind * angle + phase[1]) + 1.3 * np.sin(0.61 * angle + phase[2])
    steps = np.hypot(np.diff(x), np.diff(z))
    length = np.concatenate(([0.0], np.cumsum(steps)))
    gone = 8.0 * phase[3] + np.cumsum(_speed(programme, rng))
    course = np.unwrap(np.arctan2(np.gradient(z), np.gradient(x)))
    ground = np.stack((np.interp(gone, length, x), np.interp(gone, length, z)), axis=-1)
    return ground, np.rad2deg(np.interp(gone, length, course))


def _speed(programme: Programme, rng: np.random.Generator) -> Floats:
    """(T,) body heights a frame."""
    t = np.arange(programme.frames)
    speed = SPEED * (1 + 0.15 * np.sin(t / rng.uniform(9, 16) + rng.uniform(0, 6.3)))
    for item in programme.items:
        inside = range(item.core.start - 3, item.core.stop + 1)
        speed[inside.start : inside.stop] = IN_ELEMENT[item.element.kind]
    kernel = np.hanning(7)[1:-1] / np.hanning(7).sum()
    smooth: Floats = np.convolve(np.pad(speed, 2, mode="edge"), kernel, mode="valid")
    for item in programme.items:
        if item.element.kind == "spin":
            smooth[item.core.start : item.core.stop] = 0
    return smooth
