"""
Reads the part of a file that a spec asks for.

The rule: an intact file gives what decoding all of it would give. Mostly the packets' timestamps
show beforehand which frames are needed, and it is enough to decode those. Where the timestamps
turn out to be wrong (frames missing, out of order, without times), all frames are decoded once for
their true times, and again for their pixels. Damage outside the part that is needed is not noticed.

Corrections that depend on all frames, such as cutting off black bars, are derived from those that
are needed. Where a correction is needed the frames are decoded once more.

Shapes: T' frames of at most the spec's T, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_store.clip_warning import ClipWarning
from model_store.errors import UnusableClip
from model_store.found_routine import FoundRoutine
from model_store.spec import ClipSpec
from model_store.video.capture_speed import is_slow_motion, is_time_lapse
from model_store.video.container import Video, open_video, sha256_of
from model_store.video.decoder import Decoder, OnPacket
from model_store.video.demuxer import Demuxed, demux
from model_store.video.limits import ClipLimits
from model_store.video.scaler import Corrections, FrameScaler
from model_store.video.selection import Selection, Window
from model_store.video.timeline import Timeline, in_order


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
    """Of all frames of the file, whatever part of it was asked for."""
    origin: Fraction
    """Seconds on a player's clock at which the first of them is shown."""
    info: ClipInfo
    warnings: tuple[ClipWarning, ...]
    found: FoundRoutine | None = None
    """None where the routine was not searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipReader:
    """How a file is to be read."""

    spec: ClipSpec
    limits: ClipLimits = ClipLimits()  # noqa: RUF009 it is frozen
    window: Window = Window()  # noqa: RUF009 it is frozen
    sha256: str | None = None
    """Of the file, where it is known; None: the reader hashes it."""
    on_packet: OnPacket | None = None
    corrections: Corrections | None = None
    """Those that the frames need; None: find them out, and read once more if there are any."""

    def read(self, file: BinaryIO) -> DecodedClip:
        """Raises NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim."""
        return self.pass_over(file).clip

    def pass_over(self, file: BinaryIO) -> "ReadingPass":
        """`read`, with what there is to know of how the frames were read."""
        known = self if self.sha256 else replace(self, sha256=sha256_of(file))
        done = known._read(file)
        needed = done.corrections
        if needed == (self.corrections or Corrections()):
            return done
        del done  # its frames: those of a long recording are not held twice
        return replace(known, corrections=needed)._read(file)

    def _read(self, file: BinaryIO) -> "ReadingPass":
        pts: Sequence[int | None] | None = None
        with open_video(file, self.limits) as video:
            demuxed = demux(video, self.limits)
            timeline = demuxed.timeline(video, demuxed.pts)
            if timeline is not None and not timeline.repaired:
                selection = self._select(video, timeline)
                decoded = self._decode(video, demuxed, selection, by_pts=True)
                if decoded.complete:
                    return decoded.reading(video, demuxed, selection, self.sha256 or "")
                pts = decoded.decoder.pts if decoded.decoder.finished else None
        if pts is None:
            pts = self._true_pts(file, demuxed)
        with open_video(file, self.limits) as video:
            if not pts:
                raise video.too_short(0, self.spec.fragment_length)
            timeline = demuxed.timeline(video, pts)
            if timeline is None:
                timeline = Timeline.at_rate(len(pts), video.rate or self.spec.fps)
            selection = self._select(video, timeline)
            decoded = self._decode(video, demuxed, selection, by_pts=False)
            if not decoded.complete:
                raise UnusableClip("frames that were there are gone when decoded again")
            return decoded.reading(video, demuxed, selection, self.sha256 or "")

    def _select(self, video: Video, timeline: Timeline) -> Selection:
        self.limits.check_seconds(timeline.duration)
        fields = self.corrections is not None and self.corrections.fields is not None
        return Selection.of(video, timeline, self.spec, self.window, fields=fields)

    def _decode(
        self, video: Video, demuxed: Demuxed, selection: Selection, *, by_pts: bool
    ) -> "_Decoded":
        """Decode and scale the frames of a selection, as far as they come.

        Frames are found by their timestamps, or by their places among all that are shown.
        """
        timeline = selection.timeline
        missing = selection.outputs(timeline.pts if by_pts else timeline.indices)
        only = frozenset(missing) if by_pts and demuxed.pts_are_reliable(video) else None
        decoder = Decoder(video.context, self.limits, self.on_packet)
        scaler = FrameScaler(self.spec, self.corrections)
        frames = np.empty((len(selection.shown), *self.spec.crop, 3), np.uint8)
        sizes: list[tuple[int, int]] = []
        for frame in decoder.frames(demuxed.packets, only):
            key = frame.pts if by_pts else len(decoder.pts) - 1
            outputs = None if key is None else missing.pop(key, None)
            if outputs is None:
                continue
            scaled, orientation = scaler.scale(frame)
            for field, places in outputs:
                frames[places] = scaled[field if len(scaled) > 1 else 0]
            sizes.append(orientation.size(frame))
            if not missing:
                break
        complete = not missing and (not by_pts or in_order(decoder.pts))
        return _Decoded(frames, sizes, complete, by_pts, decoder, scaler)

    def _true_pts(self, file: BinaryIO, demuxed: Demuxed) -> Sequence[int | None]:
        """The timestamps of all frames that decode, in the order in which they are shown."""
        with open_video(file, self.limits) as video:
            decoder = Decoder(video.context, self.limits, self.on_packet)
            for _ in decoder.frames(demuxed.packets):
                pass
        return decoder.pts


@dataclass(frozen=True, slots=True)
class ReadingPass:
    """A clip, and how its frames were read."""

    clip: DecodedClip
    corrections: Corrections
    """Those that the frames need."""
    selection: Selection
    is_plain: bool
    """Each frame is as any part of the recording that has it would have it, read by itself, unless
    that needs its bars cut off."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What one pass over the packets gave of a selection."""

    frames: NDArray[np.uint8]
    """(T', H, W, 3)"""
    sizes: list[tuple[int, int]]
    """(height, width) as shown, after rotation, of each frame that was decoded for it."""
    complete: bool
    """Every frame that was selected came, and all came in the order of their times."""
    by_pts: bool
    """They were found by the packets' timestamps."""
    decoder: Decoder
    scaler: FrameScaler

    def reading(
        self, video: Video, demuxed: Demuxed, selection: Selection, sha256: str
    ) -> ReadingPass:
        timeline, corrections = selection.timeline, self.scaler.corrections
        found = {
            ClipWarning.TRIMMED: selection.trimmed,
            ClipWarning.TRUNCATED: demuxed.truncated(video, timeline),
            ClipWarning.DECODE_ERRORS: self.decoder.errors > 0,
            ClipWarning.TIMES_REPAIRED: timeline.repaired,
            ClipWarning.TIMES_ASSUMED: timeline.assumed,
            ClipWarning.CLOCK_JUMP: demuxed.clock_jumps,
            ClipWarning.SLOW_MOTION: is_slow_motion(video.tags, timeline.fps),
            ClipWarning.TIME_LAPSE: is_time_lapse(video.tags, timeline.fps),
            ClipWarning.LOW_FRAME_RATE: selection.low_frame_rate,
            ClipWarning.SIZE_CHANGES: len(set(self.sizes)) > 1,
            ClipWarning.INTERLACED: self.scaler.interlaced,
            ClipWarning.BARS: bool(corrections.bars),
            ClipWarning.HDR: self.scaler.colours_guessed,
        }
        height, width = self.sizes[0]
        clip = DecodedClip(
            frames=self.frames,
            times=selection.times(),
            timeline=timeline,
            origin=selection.origin,
            info=ClipInfo(
                sha256=sha256,
                decoded_frames=len(timeline.pts),
                fps=timeline.fps,
                width=width,
                height=height,
                codec=video.context.codec.canonical_name,
                duration_s=float(timeline.duration),
                errors=self.decoder.errors,
            ),
            warnings=tuple(warning for warning, present in found.items() if present),
        )
        whole = self.by_pts and not (self.decoder.errors or timeline.repaired or timeline.assumed)
        alike = not (self.scaler.interlaced or self.scaler.high_range or corrections.bars)
        is_plain = whole and alike and len(set(self.sizes)) == 1
        return ReadingPass(clip, corrections, selection, is_plain)
