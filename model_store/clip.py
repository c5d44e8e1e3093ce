"""
The clip contract: from the bytes of any video to the tensor that a network sees.

The rule: training and serving get their pixels from here and from nowhere else. A clip is read
(`read_clip`), trimmed or padded to T frames (`prepare`) and cut into fragments by index (`cut`);
pixels stay uint8 all the way. The same bytes give the same pixels, by path, in memory, from an open
file, or frame by frame from JPEG files.

Shapes: B clips, K fragments, L frames a fragment, T frames a clip, T' frames before padding,
H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_store.clip_warning import ClipWarning
from model_store.errors import InvalidTrim, UnusableClip
from model_store.spec import ClipSpec
from model_store.video.container import ClipLimits, Source, open_bytes, sha256_of
from model_store.video.distinct import count_distinct
from model_store.video.frame_files import FrameFiles
from model_store.video.reader import Footage, FootageReader, Window
from model_store.video.timeline import Timeline

__all__ = [
    "ClipInfo",
    "ClipLimits",
    "ClipWarning",
    "DecodedClip",
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

_FEW = Fraction(1, 4)  # of the frames; 8 different pictures a second, where 30 are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """The file that a clip came from."""

    sha256: str
    """Of all its bytes."""
    decoded_frames: int
    """Frames that its video shows, counted."""
    fps: float
    """Mean frames a second, measured; 0 for a single frame."""
    width: int
    height: int
    """Pixels as shown, after rotation."""
    codec: str
    duration_s: float
    """Of the video, measured."""
    errors: int
    """Frames that were damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedClip:
    """The frames of a file that a spec asks for, before padding."""

    frames: NDArray[np.uint8]
    """(T', H, W, 3), L ≤ T' ≤ T"""
    times: NDArray[np.float64]
    """(T',) seconds at which a player of the file shows each frame; repeated frames repeat it."""
    timeline: Timeline
    """Of all pictures of the file, whatever part of it was asked for."""
    origin: Fraction
    """Seconds on a player's clock at which the first of them is shown."""
    info: ClipInfo
    warnings: tuple[ClipWarning, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedClip:
    """What the network sees, and where it came from."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3)"""
    times: NDArray[np.float64]
    """(T,) as in DecodedClip; NaN for padding."""
    info: ClipInfo
    warnings: tuple[ClipWarning, ...]


def read_clip(
    source: Source,
    spec: ClipSpec,
    *,
    limits: ClipLimits = ClipLimits(),  # noqa: B008 it is frozen
    start_s: float | None = None,
    end_s: float | None = None,
    threads: int = 1,
    sha256: str | None = None,
    on_frame: Callable[[int, int], None] | None = None,
) -> DecodedClip:
    """The part of a video between `start_s` and `end_s`, at the spec's frame rate and size.

    Of a longer part the last T frames are kept, and only they are scaled. Output k shows the frame
    nearest to k / fps (see `timeline`). `threads` are FFmpeg's; the pixels do not depend on them.
    `sha256` is the file's, for a caller who knows it: then the file is not hashed here.
    `on_frame` hears (frames decoded, frames to decode) and begins anew where a damaged file has to
    be decoded again; what it raises stops the reading.

    Raises NotAVideo, ClipTooLarge, UnusableClip (fewer than L frames, or than L different ones),
    InvalidTrim.
    """
    window = Window(start_s, end_s)
    reader = FootageReader(
        spec=spec, limits=limits, window=window, threads=threads, on_packet=on_frame
    )
    with open_bytes(source) as file:
        digest = sha256 or sha256_of(file)
        footage = reader.read(file)
    count = len(footage.frames)
    different = count_distinct(footage.frames, max(spec.fragment_length, ceil(_FEW * count)))
    if different < spec.fragment_length:
        pictures = "1 different picture" if different == 1 else f"{different} different pictures"
        need = spec.fragment_length
        why = "slow motion" if footage.slow_motion else "a slide show"
        raise UnusableClip(f"{pictures} in {count} frames, need at least {need}: is it {why}?")
    return DecodedClip(
        frames=footage.frames,
        times=footage.times,
        timeline=footage.timeline,
        origin=footage.origin,
        info=ClipInfo(
            sha256=digest,
            decoded_frames=len(footage.timeline.stamps),
            fps=footage.timeline.fps,
            width=footage.size[1],
            height=footage.size[0],
            codec=footage.codec,
            duration_s=float(footage.timeline.duration),
            errors=footage.errors,
        ),
        warnings=_warnings(footage, few_pictures=different < _FEW * count),
    )


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
    )


def decode(source: Source, spec: ClipSpec) -> NDArray[np.uint8]:
    """A video to its frames, (T', H, W, 3), even if they are all the same.

    Raises what `read_clip` raises otherwise.
    """
    reader = FootageReader(
        spec=spec, limits=ClipLimits(), window=Window(), threads=1, on_packet=None
    )
    with open_bytes(source) as file:
        sha256_of(file)
        return reader.read(file).frames


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
    blank: Clips = ~(fragments.reshape(*fragments.shape[:2], -1) != 0).any(-1)
    return blank


def fragment_span(
    clip: PreparedClip, spec: ClipSpec, index: int, *, views: int = 1
) -> tuple[float | None, float | None]:
    """Seconds of the file from a fragment's first frame to the end of its last; no padding.

    Of several views the first one counts that shows something of it.
    """
    frames = np.array(spec.fragment_frames(index)) - spec.start
    for view in spec.views(views):
        times = clip.times[frames + view.start]
        seen = times[~np.isnan(times)]
        if len(seen):
            return float(seen[0]), float(seen[-1] + 1 / spec.fps)
    return None, None


def _warnings(footage: Footage, *, few_pictures: bool) -> tuple[ClipWarning, ...]:
    found = {
        ClipWarning.TRIMMED: footage.trimmed,
        ClipWarning.TRUNCATED: footage.truncated,
        ClipWarning.DECODE_ERRORS: footage.errors > 0,
        ClipWarning.TIMES_REPAIRED: footage.timeline.repaired,
        ClipWarning.TIMES_ASSUMED: footage.timeline.counted,
        ClipWarning.CLOCK_JUMP: footage.clock_jumps,
        ClipWarning.SLOW_MOTION: footage.slow_motion,
        ClipWarning.TIME_LAPSE: footage.time_lapse,
        ClipWarning.FEW_PICTURES: few_pictures,
        ClipWarning.LOW_FRAME_RATE: footage.low_frame_rate,
        ClipWarning.SIZE_CHANGES: footage.size_changes,
        ClipWarning.INTERLACED: footage.interlaced,
        ClipWarning.BARS: bool(footage.facts.bars),
        ClipWarning.HDR: footage.colours_guessed,
    }
    return tuple(warning for warning, present in found.items() if present)
