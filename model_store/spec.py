"""
What a clip must look like before the network sees it: the contract of training and serving.

A `ClipSpec` travels in every checkpoint. Nothing in it has a default that a checkpoint could
silently fall back to; `SPECS` holds the presets of the three actions.

Shape letters, here and everywhere: B clips, K fragments, L frames a fragment, T frames a clip,
H W pixels, C channels.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

from model_store.errors import SpecError

Scaler = Literal["area", "bilinear", "bicubic"]
ColourOrder = Literal["rgb", "bgr"]
Pad = Literal["end", "start"]
DifficultyRule = Literal["multiply", "add"]

MAX_START_SHIFT = 5  # frames; the augmentation of [Li18] §4.2 draws the start from 0…5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpec:
    """One action's clips, from the file to the tensor (T, H, W, 3) uint8."""

    action: str
    frames: int
    """T, frames a clip after trimming or padding."""
    fragments: int
    """K, fragments a clip."""
    fragment_length: int
    """L, frames a fragment; 16 is C3D's native input length."""
    fps: Fraction
    """Frames per second that the clip is resampled to, by presentation timestamp."""
    score_range: tuple[float, float]
    """Nominal, in points. Scores are never clamped to it."""
    difficulty_rule: DifficultyRule
    """score = execution × difficulty (diving) or execution + difficulty (vault, skating)."""
    stages: tuple[str, ...]
    """Parts of the routine, in order; empty where the action has none."""
    resize: tuple[int, int]
    """(H, W) that the whole picture is scaled to, before the crop."""
    crop: tuple[int, int]
    """(H, W) cut from the centre of the resized picture; what the network sees."""
    scaler: Scaler
    """The swscale algorithm. It is part of the model: another one is another checkpoint."""
    colour_order: ColourOrder
    """Order of the three channels of a frame."""
    mean: tuple[float, float, float]
    """Subtracted by the network, 0–255, in `colour_order`."""
    pad: Pad
    """Where blank frames go when a clip is shorter than T."""
    start: int
    """Frame of the prepared clip at which the first fragment begins, 0…T − K·L."""

    def __post_init__(self) -> None:
        def require(holds: bool, need: str) -> None:
            if not holds:
                raise SpecError(f"{self.action} spec: {need}")

        for name in ("frames", "fragments", "fragment_length"):
            value = getattr(self, name)
            require(value >= 1, f"{name} is {value}, need at least 1")
        require(
            self.slack >= 0,
            f"{self.fragments} fragments of {self.fragment_length} frames do not fit into"
            f" {self.frames} frames",
        )
        require(0 <= self.start <= self.slack, f"start is {self.start}, need 0…{self.slack}")
        require(self.fps > 0, f"fps is {self.fps}, need more than 0")
        require(self.score_range[0] < self.score_range[1], f"score range {self.score_range}")
        require(
            all(1 <= c <= r for c, r in zip(self.crop, self.resize, strict=True)),
            f"crop {self.crop} does not fit into resize {self.resize}",
        )
        require(all(map(math.isfinite, self.mean)), f"mean {self.mean} is not finite")
        for name, choices in (
            ("scaler", Scaler),
            ("colour_order", ColourOrder),
            ("pad", Pad),
            ("difficulty_rule", DifficultyRule),
        ):
            value = getattr(self, name)
            require(
                value in get_args(choices), f"{name} is {value!r}, need one of {get_args(choices)}"
            )

    @property
    def slack(self) -> int:
        """T − K·L: redundant frames, the room for `start`."""
        return self.frames - self.fragments * self.fragment_length

    @property
    def max_start(self) -> int:
        """Largest `start` that the shift augmentation draws.   [Li18 §4.2]"""
        return min(MAX_START_SHIFT, self.slack)

    @property
    def height(self) -> int:
        return self.crop[0]

    @property
    def width(self) -> int:
        return self.crop[1]

    def offset(self, length: int) -> int:
        """Where the first of `length` frames lies in the prepared clip; negative: trimmed off."""
        missing = self.frames - length
        return missing if missing < 0 or self.pad == "start" else 0

    def fragment_frames(self, index: int) -> range:
        """The frames of the prepared clip that make up fragment `index`, 0…K − 1."""
        if not 0 <= index < self.fragments:
            raise IndexError(f"fragment {index}, the clip has 0…{self.fragments - 1}")
        begin = self.start + index * self.fragment_length
        return range(begin, begin + self.fragment_length)

    def with_size(self, resize: tuple[int, int], crop: tuple[int, int]) -> "ClipSpec":
        return dataclasses.replace(self, resize=resize, crop=crop)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back to an equal spec."""
        values = dataclasses.asdict(self)
        return values | {"fps": str(self.fps)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ClipSpec":
        """Strict: a missing or unknown field is a SpecError, nothing is filled in."""
        names = {field.name for field in dataclasses.fields(cls)}
        if missing := names - values.keys():
            raise SpecError(f"spec lacks {sorted(missing)}")
        if unknown := values.keys() - names:
            raise SpecError(f"spec has unknown {sorted(unknown)}")
        try:
            fields: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
            }
            return cls(**fields | {"fps": Fraction(values["fps"])})
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise SpecError(f"spec: {error}") from error


_PAPER: dict[str, Any] = {
    "resize": (128, 171),
    "crop": (112, 112),
    "scaler": "area",
    "colour_order": "rgb",
    "mean": (101.41, 97.66, 90.25),  # Sports-1M, as C3D was trained; in RGB order
    "pad": "end",
    "start": 0,
}

DIVING = ClipSpec(
    action="diving",
    frames=151,
    fragments=9,
    fragment_length=16,
    fps=Fraction(30),
    score_range=(0.0, 100.0),
    difficulty_rule="multiply",
    stages=("start", "take-off", "flight", "entry", "splash"),
    **_PAPER,
)
VAULT = ClipSpec(
    action="vault",
    frames=100,
    fragments=6,
    fragment_length=16,
    fps=Fraction(30),
    score_range=(0.0, 20.0),
    difficulty_rule="add",
    stages=("start", "pre-flight", "support", "after-flight", "landing"),
    **_PAPER,
)
SKATING = ClipSpec(
    action="skating",
    frames=900,
    fragments=9,
    fragment_length=100,
    fps=Fraction(24, 5),
    score_range=(0.0, 100.0),
    difficulty_rule="add",
    stages=(),
    **_PAPER,
)
SPECS: dict[str, ClipSpec] = {spec.action: spec for spec in (DIVING, VAULT, SKATING)}
