"""What a skater looks like at the instants that matter: angles of every element, key by key."""

from collections.abc import Callable
from dataclasses import dataclass

from training.simulator.programme import Item

Angles = dict[str, float]


@dataclass(frozen=True, slots=True)
class Key:
    frame: float
    angles: Angles
    pitch: float = 0.0
    """Degrees by which the whole body is bent forwards."""


GLIDING: Angles = {
    "hip": 12, "knee": 18, "spread": 0, "ankle": 92, "shoulder": 12, "elbow": 12, "reach": 46,
    "spine": 6, "neck": 0,
}  # fmt: skip
_CROUCHED = GLIDING | {"hip": 58, "knee": 72, "ankle": 106, "spine": 22, "shoulder": -30}
_TOGETHER = GLIDING | {
    "hip": 0, "knee": 0, "hip_l": 10, "knee_l": 16, "spread": -4, "ankle": 30, "shoulder": 18,
    "elbow": 92, "reach": -16, "spine": 0,
}  # fmt: skip
_LANDING = GLIDING | {
    "hip_r": 46, "knee_r": 58, "ankle_r": 100, "hip_l": -46, "knee_l": 4, "ankle_l": 40,
    "shoulder": 60, "reach": 74, "spine": 20,
}  # fmt: skip
_CAMEL = GLIDING | {
    "hip_r": 82, "knee_r": 4, "hip_l": -8, "knee_l": 0, "ankle_l": 25, "shoulder": 80,
    "reach": 78, "spine": 0, "neck": -20,
}  # fmt: skip
_POSITIONS: dict[str, tuple[Angles, float]] = {
    "upright": (
        GLIDING | {"hip": 2, "knee": 2, "hip_l": 34, "knee_l": 60, "ankle_l": 30, "shoulder": 160,
                   "elbow": 20, "reach": 6, "spine": 0},
        0.0,
    ),
    "sit": (
        GLIDING | {"hip_r": 104, "knee_r": 122, "ankle_r": 112, "hip_l": 92, "knee_l": 12,
                   "ankle_l": 30, "shoulder": 88, "reach": 10, "spine": 34},
        8.0,
    ),
    "camel": (_CAMEL, 80.0),
    "spiral": (_CAMEL | {"hip_r": 70, "hip_l": -34, "shoulder": 96, "neck": -30}, 66.0),
    "steps": (GLIDING | {"hip": 22, "knee": 34, "reach": 60, "shoulder": 34}, 4.0),
}  # fmt: skip


def element_keys(item: Item) -> list[Key]:
    """From gliding to gliding."""
    inner = _KEYS[item.element.kind](item)
    begin, end = Key(item.frames.start, GLIDING), Key(item.frames.stop - 1, GLIDING)
    return [begin, *inner, end]


def _jump(item: Item) -> list[Key]:
    core = item.core
    return [
        Key(core.start - 3, _CROUCHED),
        Key(core.start - 1, _CROUCHED | {"shoulder": 70, "hip": 26, "knee": 34}),
        Key(core.start + 1, _TOGETHER),
        Key(core.stop - 1.5, _TOGETHER),
        Key(core.stop, _LANDING, 4.0),
        Key(core.stop + 8, _LANDING | {"hip_r": 26, "knee_r": 32}, 4.0),
    ]


def _held(item: Item) -> list[Key]:
    """The positions of a spin or a glide, in turn."""
    positions = item.element.positions
    length = len(item.core) / len(positions)
    keys = []
    for n, position in enumerate(positions):
        angles, pitch = _POSITIONS[position]
        begin = item.core.start + n * length
        keys += [Key(begin + 2, angles, pitch), Key(begin + length - 2, angles, pitch)]
    return keys


_KEYS: dict[str, Callable[[Item], list[Key]]] = {"jump": _jump, "spin": _held, "glide": _held}
