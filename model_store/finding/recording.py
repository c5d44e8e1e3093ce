"""
Reads the routine out of a longer recording.

The rule: the clip is, bit for bit, what a reader gives who is told the times that were found. A
plain recording is decoded once: its frames are searched, and those of the routine kept. Where the
frames of a part may differ from those that it has in the whole (black bars, interlacing, high
dynamic range, damage), the part is read by itself as well; and what has to be corrected, such as
bars, is decoded twice, as everywhere.

Shapes: N frames of the recording, T frames a clip, H W pixels.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_store.clip_warning import ClipWarning
from model_store.finding.finder import finder_of
from model_store.finding.windows import FrameWindow
from model_store.found_routine import FoundRoutine, Span
from model_store.spec import ClipSpec
from model_store.video.black_bars import rules_bars_out
from model_store.video.container import sha256_of
from model_store.video.reader import ClipReader, DecodedClip, ReadingPass
from model_store.video.selection import Selection, Window

ALL_FRAMES = 1 << 30  # more than any recording has
_DIGITS = 4  # of the seconds that are returned: far less than a frame


def read_routine(reader: ClipReader, file: BinaryIO) -> DecodedClip:
    """What the finder of the reader's action finds within the reader's window, at most T frames.

    Raises NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim (also for an action without a finder).
    """
    spec, finder = reader.spec, finder_of(reader.spec.action)
    reader = reader if reader.sha256 else replace(reader, sha256=sha256_of(file))
    uncropped = replace(spec, frames=ALL_FRAMES, crop=spec.resize)
    whole = replace(reader, spec=uncropped).pass_over(file)
    selection = whole.selection
    frames = _cropped(whole.clip.frames, spec)  # (N, H, W, 3)
    if len(frames) <= spec.frames:
        everything = FrameWindow(0, len(frames))
        found = FoundRoutine(_seconds(selection, everything, spec), None)
        return _part(whole, everything, spec, found, ())
    choice = finder.find(frames, spec)
    second = choice.second and _seconds(selection, choice.second, spec)
    found = FoundRoutine(_seconds(selection, choice.best, spec), second)
    doubts = {
        ClipWarning.NO_ROUTINE: choice.log_odds < finder.likely,
        ClipWarning.SEVERAL_ROUTINES: choice.second_log_odds >= finder.likely,
    }
    doubtful = tuple(warning for warning, holds in doubts.items() if holds)
    shown = whole.clip.frames[choice.best.start : choice.best.stop]
    if whole.is_plain and _has_no_bars(shown):
        return _part(whole, choice.best, spec, found, doubtful)
    clip = replace(reader, window=Window(*found.span)).read(file)
    return replace(clip, found=found, warnings=(*clip.warnings, *doubtful))


def _part(
    whole: ReadingPass,
    window: FrameWindow,
    spec: ClipSpec,
    found: FoundRoutine,
    doubts: tuple[ClipWarning, ...],
) -> DecodedClip:
    """Frames of a recording as a clip of its own."""
    part = slice(window.start, window.stop)
    selection = whole.selection.part(part)
    warnings = {*whole.clip.warnings} - {ClipWarning.LOW_FRAME_RATE}
    if selection.low_frame_rate:
        warnings.add(ClipWarning.LOW_FRAME_RATE)
    return replace(
        whole.clip,
        frames=_cropped(whole.clip.frames[part], spec).copy(),
        times=selection.times(),
        warnings=(*(warning for warning in ClipWarning if warning in warnings), *doubts),
        found=found,
    )


def _cropped(frames: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    top, left = ((r - c) // 2 for r, c in zip(spec.resize, spec.crop, strict=True))
    return frames[:, top : top + spec.height, left : left + spec.width]


def _has_no_bars(frames: Iterable[NDArray[np.uint8]]) -> bool:
    return any(map(rules_bars_out, frames))


def _seconds(selection: Selection, window: FrameWindow, spec: ClipSpec) -> Span:
    begin, end = (
        round(float(selection.origin + (selection.first + frame) / spec.fps), _DIGITS)
        for frame in window
    )
    return begin, end
