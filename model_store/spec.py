"""
What a clip must look like before the network sees it: the contract of training and serving.

A `ClipSpec` travels in every checkpoint. Nothing in it has a default that a checkpoint could
silently fall back to. A file such as `actions/diving.toml` describes an action's clips: `SPECS`
holds the shipped ones, at the paper's size of the picture, and `read_action` reads any other.

Shape letters, here and everywhere: B clips, K fragments, L frames a fragment, T frames a clip,
H W pixels, C channels.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

import dataclasses
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from model_store.errors import SpecError

Scaler = Literal["area", "bilinear", "bicubic"]
ColourOrder = Literal["rgb", "bgr"]
Pad = Literal["end", "start"]
DifficultyRule = Literal["multiply", "add"]

ACTIONS = Path(__file__).parent / "actions"
NAME_PATTERN = r"^[a-z][a-z0-9-]{0,63}$"  # of actions and checkpoints

MAX_START_SHIFT = 5  # frames; the augmentation of [Li18] §4.2 draws the start from 0…5


class View(NamedTuple):
    """One look at a prepared clip."""

    start: int
    """Frame at which its first fragment begins."""
    mirrored: bool
    """Left and right exchanged."""


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
        low, high = self.score_range
        require(
            low < high and math.isfinite(high - low),
            f"score range is {self.score_range}, need the lowest score and then the highest",
        )
        require(
            all(self.stages) and len({*self.stages}) == len(self.stages),
            f"stages are {self.stages}, need names that differ",
        )
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

    def views(self, count: int) -> tuple[View, ...]:
        """`count` looks at a clip: they begin evenly between `start` and the farther end of the
        room for it, and every second one is mirrored.
        """
        far = self.slack if 2 * self.start <= self.slack else 0
        step = (far - self.start) / max(count - 1, 1)
        return tuple(View(round(self.start + i * step), i % 2 == 1) for i in range(count))

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
        fields = strict_fields(cls, values)
        try:
            return cls(**fields | {"fps": Fraction(values["fps"])})
        except SpecError:
            raise
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise SpecError(f"spec: {error}") from error


def strict_fields(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a dataclass from JSON, lists as tuples.   Raises SpecError.

    Nothing is guessed: a missing field is an error, and so is an unknown one. Only a field that
    came later has a default, which is what there was before it.
    """
    fields = dataclasses.fields(cls)
    names = {field.name for field in fields}
    needed = {field.name for field in fields if field.default is dataclasses.MISSING}
    if missing := needed - values.keys():
        raise SpecError(f"{cls.__name__} lacks {sorted(missing)}")
    if unknown := values.keys() - names:
        raise SpecError(f"{cls.__name__} has unknown {sorted(unknown)}")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


_PAPER: dict[str, Any] = {
    "resize": (128, 171),
    "crop": (112, 112),
    "scaler": "area",
    "colour_order": "rgb",
    "mean": (101.41, 97.66, 90.25),  # Sports-1M, as C3D was trained; in RGB order
    "pad": "end",
    "start": 0,
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_rate(value: object) -> bool:
    try:
        return (_is_number(value) or isinstance(value, str)) and Fraction(str(value)) > 0
    except (ValueError, ZeroDivisionError):
        return False


def _is_pair(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) == 2 and all(map(of, value))


_COUNT = (_is_count, "a whole number")
_WORD = (lambda value: isinstance(value, str), "a word")
_SIZE = (_is_pair(_is_count), "height and width in pixels, as [64, 64]")
_NEEDED: dict[str, tuple[Callable[[object], bool], str]] = {
    "frames": _COUNT,
    "fragments": _COUNT,
    "fragment_length": _COUNT,
    "fps": (_is_rate, 'a number above 0, or a fraction as "24/5"'),
    "stages": (
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
        'a list of words, as ["flight", "landing"], or []',
    ),
    "difficulty_rule": _WORD,
    "score_range": (_is_pair(_is_number), "lowest and highest score, as [0, 100]"),
}
_OPTIONAL = {"pad": _WORD, "start": _COUNT, "resize": _SIZE, "crop": _SIZE}


def read_action(
    path: Path,
    resize: tuple[int, int] = _PAPER["resize"],
    crop: tuple[int, int] = _PAPER["crop"],
) -> ClipSpec:
    """The clips of an action from a file as those in `actions/`, named as the file is.

    A size in the file replaces `resize` and `crop`. Raises SpecError.
    """
    spec = _read(path, resize, crop)
    if (shipped := SPECS.get(spec.action)) is not None:
        for name in _NEEDED:
            ours, theirs = getattr(shipped, name), getattr(spec, name)
            if ours != theirs:
                raise SpecError(
                    f"{path}: {spec.action} is a shipped action whose {name} is {ours}, here it is"
                    f" {theirs}; give the file another name"
                )
    return spec


def _read(path: Path, resize: tuple[int, int], crop: tuple[int, int]) -> ClipSpec:
    if path.suffix != ".toml" or not re.fullmatch(NAME_PATTERN, path.stem):
        raise SpecError(
            f"{path}: an action is named as its file is, need a-z, 0-9 and - before .toml, and a"
            " letter first"
        )
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpecError(f"{path} is not TOML: {error}") from error
    forms = _NEEDED | _OPTIONAL
    if unknown := values.keys() - forms.keys():
        raise SpecError(f"{path} has unknown {sorted(unknown)}, it may have {sorted(forms)}")
    if missing := _NEEDED.keys() - values.keys():
        raise SpecError(f"{path} lacks {sorted(missing)}")
    for name, value in values.items():
        fits, need = forms[name]
        if not fits(value):
            raise SpecError(f"{path}: {name} is {value!r}, need {need}")
    size = {"resize": resize, "crop": values.get("resize", crop)}
    score_range = tuple(map(float, values["score_range"]))
    stated = values | {"action": path.stem, "fps": str(values["fps"]), "score_range": score_range}
    try:
        return ClipSpec.from_json(_PAPER | size | stated)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


SPECS: dict[str, ClipSpec] = {
    path.stem: _read(path, _PAPER["resize"], _PAPER["crop"])
    for path in sorted(ACTIONS.glob("*.toml"))
}
DIVING, VAULT, SKATING = SPECS["diving"], SPECS["vault"], SPECS["skating"]
