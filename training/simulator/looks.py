"""
How a clip looks: athlete, place, light, camera, recording. None of it depends on the score.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[float, float, float]
Camera = Literal["stands", "follows", "cuts", "tilts"]
Style = Literal["plain", "broadcast"]

WIDTH, HEIGHT, FPS = 320, 240, 30
DARKEST, BRIGHTEST = 18, 237  # of clean pixels; leaves room for noise without clipping

_SKINS: tuple[Colour, ...] = (
    (236, 190, 158), (224, 172, 136), (205, 150, 112),
    (178, 122, 86), (150, 100, 68), (122, 80, 56),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = ((32, 26, 24), (60, 40, 26), (110, 76, 40), (190, 160, 100))
_SUITS: tuple[Colour, ...] = (
    (200, 28, 38), (44, 70, 200), (110, 200, 235), (240, 240, 240), (235, 125, 25),
    (30, 150, 75), (150, 50, 160), (240, 205, 40), (225, 65, 135), (25, 165, 185),
)  # fmt: skip


_BOOTS: tuple[Colour, ...] = ((226, 226, 226), (40, 36, 36), (190, 150, 118))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habits:
    """How an action is filmed, and what its athletes wear."""

    cameras: dict[Camera, float]
    """Share of the clips that each films."""
    zoom: tuple[float, float] = (126, 160)
    yaw: tuple[float, float] = (-16, 20)
    pitch: tuple[float, float] = (4, 12)
    behind: float = 0.0
    """Share of the clips seen from behind the athlete."""
    legs_covered: float = 0.35


_HABITS = {
    "diving": _Habits(cameras={"stands": 0.2, "follows": 0.35, "cuts": 0.45}, legs_covered=0.15),
    "vault": _Habits(cameras={"stands": 0.3, "follows": 0.7}, behind=0.35),
    "skating": _Habits(
        cameras={"follows": 0.5, "cuts": 0.5}, zoom=(98, 124), yaw=(-4, 4), pitch=(7, 12)
    ),
}


_BROADCAST = _Habits(
    cameras={"stands": 0.08, "follows": 0.08, "cuts": 0.08, "tilts": 0.76}, legs_covered=0.15
)  # of dives


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    style: Style = "plain"
    camera: Camera
    zoom: float
    """Pixels per body height."""
    yaw: float
    """Degrees; 0 looks across the travel, positive from behind the athlete."""
    pitch: float
    """Degrees that the camera looks down."""
    overhead_pitch: float
    mirrored: bool
    platform: float
    """Height in body heights."""
    stoutness: float
    skin: Colour
    hair: Colour
    suit: Colour
    trim: Colour
    """Front of the suit."""
    legs_covered: bool
    feet: Colour
    """Skin, or boots."""
    indoor: bool
    gain: Colour
    """Exposure times white balance."""
    gamma: float
    light: tuple[float, float]
    noise: float
    """Grey levels, standard deviation."""
    pan_blur: float
    overlay: bool
    crf: int
    bare: bool = False
    """Trunks and nothing else, as men dive."""
    distance: float = 8.0
    """Of a camera that tilts from the plane of the dive, body heights."""
    camera_height: float = 0.0
    """Of a camera that tilts above the platform, body heights."""
    saturation: float = 1.0
    softness: float = 1.0
    """Share of the picture's lines that the recording keeps apart."""
    stale: int = 0
    """Frames of another shot that the clip begins with."""


def draw_looks(
    action: str,
    rng: np.random.Generator,
    *,
    camera: Camera | None = None,
    style: Style = "plain",
) -> Looks:
    """Looks of one clip; `camera` overrides the drawn one without changing anything else."""
    habits = _HABITS[action] if style == "plain" else _BROADCAST
    drawn = tuple(habits.cameras)[rng.choice(len(habits.cameras), p=[*habits.cameras.values()])]
    chosen = camera or drawn
    stands = chosen == "stands"
    scale, lift = rng.random(2)
    exposure, balance = rng.uniform(0.86, 1.12), rng.normal(0, 0.035, size=3)
    red, green, blue = (float(exposure * (1 + b)) for b in balance)
    skin, hair = _SKINS[rng.integers(len(_SKINS))], _HAIR[rng.integers(len(_HAIR))]
    suit, trim = (_SUITS[i] for i in rng.choice(len(_SUITS), size=2, replace=False))
    behind = habits.behind > 0 and rng.random() < habits.behind
    yaw = rng.uniform(28, 48) if behind else rng.uniform(*habits.yaw)
    widest, nearest = (100, 112) if stands else habits.zoom
    looks = Looks(
        camera=chosen,
        zoom=widest + (nearest - widest) * scale,
        yaw=float(yaw),
        pitch=float(rng.uniform(*habits.pitch)),
        overhead_pitch=float(rng.uniform(50, 66)),
        mirrored=bool(rng.random() < 0.5),
        platform=3.6 + 1.0 * lift,
        stoutness=float(rng.uniform(1.15, 1.38)),
        skin=skin,
        hair=hair,
        suit=suit,
        trim=trim,
        legs_covered=bool(rng.random() < habits.legs_covered),
        indoor=bool(rng.random() < 0.7),
        gain=(red, green, blue),
        gamma=float(rng.uniform(0.85, 1.2)),
        light=(float(rng.uniform(-0.7, 0.7)), float(rng.uniform(0.4, 1.0))),
        noise=float(rng.uniform(1.0, 4.0)),
        pan_blur=float(rng.uniform(0.2, 0.6)),
        overlay=bool(rng.random() < 0.5),
        crf=int(rng.integers(20, 30)),
        feet=_BOOTS[rng.integers(len(_BOOTS))] if action == "skating" else skin,
    )
    return looks if style == "plain" else _televised(looks, rng)


def _televised(looks: Looks, rng: np.random.Generator) -> Looks:
    """As broadcasts of diving look: one camera that tilts, less sharp, in stronger colours.

    The ranges cover what `appearance.py` measures of real dives, and more.
    """
    size, height, away, above, gamma, colour, soft, blur = rng.random(8)
    bare, stale, strength = rng.random(3)
    common: dict[str, Any] = {
        "style": "broadcast",
        "bare": bool(bare < 0.65),
        "stale": int(stale < 0.3) + int(stale < 0.05),
        "saturation": 0.8 + 0.7 * colour,
        "softness": 1.0 - 0.6 * soft**2,
    }
    if looks.camera != "tilts":
        return dataclasses.replace(looks, **common)
    return dataclasses.replace(
        looks,
        **common,
        zoom=96 + 54 * size,
        platform=3.4 + 2.9 * height,
        distance=5.5 + 8.5 * away**1.5,
        camera_height=-1.5 + 3.5 * above,
        gamma=0.75 + 0.6 * gamma,
        pan_blur=0.3 + 0.7 * blur,
        crf=int(22 + 12 * strength),
    )


def graded(image: Pixels, looks: Looks) -> Pixels:
    """Saturation, exposure, white balance, gamma; the result is within DARKEST…BRIGHTEST."""
    if looks.saturation != 1:
        grey = image.mean(axis=-1, keepdims=True, dtype=np.float32)
        image = np.clip(grey + looks.saturation * (image - grey), 0, 255).astype(np.uint8)
    ramp = np.arange(256) / 255.0
    channels = []
    for channel, gain in enumerate(looks.gain):
        table = np.clip(255 * (ramp * gain) ** looks.gamma, DARKEST, BRIGHTEST).astype(np.uint8)
        channels.append(table[image[..., channel]])
    return np.stack(channels, axis=-1)


def graded_colour(colour: Colour, looks: Looks) -> Colour:
    pixel = np.clip(np.array(colour), 0, 255).astype(np.uint8).reshape(1, 1, 3)
    red, green, blue = (float(v) for v in graded(pixel, looks)[0, 0])
    return red, green, blue
