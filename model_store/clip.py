"""
The clip contract: from the bytes of any video to the tensor that a network sees.

The rule: training and serving get their pixels from here and from nowhere else. A clip is read
(`read_clip`), trimmed or padded to T frames (`prepare`) and cut into fragments by index (`cut`);
pixels stay uint8 all the way. The same bytes give the same pixels, by path, in memory, from an open
file, or as separate JPEG files.

Shapes: B clips, K fragments, L frames a fragment, T frames a clip, T' frames before padding,
H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_store.clip_warning import ClipWarning
from model_store.errors import InvalidTrim, UnusableClip
from model_store.finding.recording import read_routine
from model_store.found_routine import FoundRoutine
from model_store.spec import ClipSpec
from model_store.video.container import Source, open_bytes
from model_store.video.distinct_frames import count_distinct
from model_store.video.frame_files import FrameFiles
from model_store.video.limits import ClipLimits
from model_store.video.reader import ClipInfo, ClipReader, DecodedClip
from model_store.video.selection import Window

__all__ = [
    "ClipInfo",
    "ClipLimits",
    "ClipWarning",
    "DecodedClip",
    "FoundRoutine",
    "FrameFiles",
    "PreparedClip",
    "Source",
    "blank_fragments",
    "cut",
    "decode",
    "fragment_span",
    "load_clip",
    "prepare",
    "prepare_clip",
    "read_clip",
]

_FEW = Fraction(1, 4)  # of the frames: 8 different ones a second, where 30 are wanted
_SAMPLE = 997  # every so many bytes; a prime, so that they lie in all columns and channels


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedClip:
    """What the network sees, and where it came from."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3)"""
    times: NDArray[np.float64]
    """(T,) as in DecodedClip; NaN for padding."""
    info: ClipInfo
    warnings: tuple[ClipWarning, ...]
    found: FoundRoutine | None = None
    """None where the routine was not searched for."""


def read_clip(
    source: Source,
    spec: ClipSpec,
    *,
    limits: ClipLimits = ClipLimits(),  # noqa: B008 it is frozen
    start_s: float | None = None,
    end_s: float | None = None,
    find: bool = False,
    sha256: str | None = None,
    on_frame: Callable[[int, int], None] | None = None,
) -> DecodedClip:
    """The part of a video between `start_s` and `end_s`, at the spec's frame rate and size.

    Of a longer part the last T frames are kept, and only they are scaled; with `find` those of the
    routine in it (see `finding`), just as if their times had been given. Output k shows the frame
    nearest to k / fps (see `timeline`). `sha256` is the file's, for a caller who knows it: then the
    file is not hashed here. `on_frame` is called with the frames decoded and the frames to decode,
    from the beginning again where a damaged file has to be decoded twice; an exception that it
    raises stops the reading.

    Raises NotAVideo, ClipTooLarge, UnusableClip (fewer than L frames, or than L different ones),
    InvalidTrim (also where nothing can be found for the spec's action).
    """
    window = Window(start_s, end_s)
    reader = ClipReader(spec=spec, limits=limits, window=window, sha256=sha256, on_packet=on_frame)
    with open_bytes(source) as file:
        decoded = read_routine(reader, file) if find else reader.read(file)
    count = len(decoded.frames)
    different = count_distinct(decoded.frames, max(spec.fragment_length, ceil(_FEW * count)))
    if different < spec.fragment_length:
        pictures = "1 different picture" if different == 1 else f"{different} different pictures"
        need = spec.fragment_length
        why = "slow motion" if ClipWarning.SLOW_MOTION in decoded.warnings else "a slide show"
        raise UnusableClip(f"{pictures} in {count} frames, need at least {need}: is it {why}?")
    if different >= _FEW * count:
        return decoded
    found = {*decoded.warnings, ClipWarning.FEW_PICTURES}
    return replace(decoded, warnings=tuple(warning for warning in ClipWarning if warning in found))


def prepare_clip(decoded: DecodedClip, spec: ClipSpec) -> PreparedClip:
    """Trim or pad a clip that was read with the same spec."""
    short = spec.frames - len(decoded.frames)
    times = np.full(spec.frames, np.nan)
    times[_shown(len(decoded.frames), spec)] = decoded.times[-spec.frames :]
    added = (ClipWarning.PADDED,) if short > 0 else (ClipWarning.TRIMMED,) if short < 0 else ()
    return PreparedClip(
        frames=prepare(decoded.frames, spec),
        times=times,
        info=decoded.info,
        warnings=tuple(dict.fromkeys((*decoded.warnings, *added))),
        found=decoded.found,
    )


def decode(source: Source, spec: ClipSpec) -> NDArray[np.uint8]:
    """A video to its frames, (T', H, W, 3), even if they are all the same.

    Raises what `read_clip` raises otherwise.
    """
    with open_bytes(source) as file:
        return ClipReader(spec=spec).read(file).frames


def prepare(frames: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    """(T', H, W, 3) -> (T, H, W, 3): the last T frames, or all and blank ones at `spec.pad`.

    Raises UnusableClip for frames of another shape or type.
    """
    shape = (*spec.crop, 3)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != shape:
        need = f"(T', {spec.height}, {spec.width}, 3) uint8"
        raise UnusableClip(f"frames are {frames.shape} {frames.dtype}, need {need}")
    if len(frames) >= spec.frames:
        return frames[-spec.frames :]
    clip = np.zeros((spec.frames, *shape), np.uint8)
    clip[_shown(len(frames), spec)] = frames
    return clip


def _shown(length: int, spec: ClipSpec) -> slice:
    """The frames of the prepared clip that are no padding."""
    offset = spec.offset(length)
    return slice(max(0, offset), offset + length)


def load_clip(source: Source, spec: ClipSpec) -> NDArray[np.uint8]:
    """A video to the network's input, (T, H, W, 3).   Raises what `read_clip` raises."""
    return prepare(decode(source, spec), spec)


class _Array(Protocol):
    """What NumPy arrays and torch tensors have in common here."""

    @property
    def shape(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


Clips = TypeVar("Clips", bound=_Array)


def cut(clips: Clips, spec: ClipSpec, start: int | None = None) -> Clips:
    """(B, T, H, W, 3) -> (B, K, L, H, W, 3), a view; `start` is 0…T − K·L, by default the spec's.

    Raises UnusableClip for clips of another length, InvalidTrim for another start.
    """
    start = spec.start if start is None else start
    batch, frames, *picture = clips.shape
    if frames != spec.frames:
        raise UnusableClip(f"clips of {frames} frames, need {spec.frames}")
    if not 0 <= start <= spec.slack:
        raise InvalidTrim(f"start is {start}, need 0…{spec.slack}")
    shown = clips[:, start : start + spec.fragments * spec.fragment_length]
    fragments: Clips = shown.reshape(batch, spec.fragments, spec.fragment_length, *picture)
    return fragments


def blank_fragments(clips: Clips, spec: ClipSpec, start: int | None = None) -> Clips:
    """(B, T, H, W, 3) uint8 -> (B, K) bool: fragments whose pixels are all 0."""
    fragments: Any = cut(clips, spec, start)
    pixels = fragments.reshape(*fragments.shape[:2], -1)  # (B, K, L·H·W·3)
    # A few pixels show of most fragments that they are not blank, in a thousandth of the time.
    blank = ~(pixels[..., ::_SAMPLE] != 0).any(-1)
    for clip, fragment in product(range(blank.shape[0]), range(blank.shape[1])):
        if blank[clip, fragment]:
            blank[clip, fragment] = not pixels[clip, fragment].max()
    found: Clips = blank
    return found


def fragment_span(
    clip: PreparedClip, spec: ClipSpec, index: int, *, views: int = 1
) -> tuple[float | None, float | None]:
    """Seconds of the file from a fragment's first frame to the end of its last, without padding.

    Of several views the first one that shows some of the fragment counts.
    """
    frames = np.array(spec.fragment_frames(index)) - spec.start
    for view in spec.views(views):
        times = clip.times[frames + view.start]
        seen = times[~np.isnan(times)]
        if len(seen):
            return float(seen[0]), float(seen[-1] + 1 / spec.fps)
    return None, None
