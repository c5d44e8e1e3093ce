"""
Reads the part of a file that a spec asks for: which frames, decoded how, at what times.

The rule: what comes back is what decoding everything would have given. Mostly the packets'
timestamps tell beforehand which frames are needed, and decoding those is enough. Where they turn
out to be wrong (frames missing, out of order, without times), all is decoded once to learn the
true times, and again for the pictures.

Shapes: T' frames of at most the spec's T, H W pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_store.container import ClipLimits, Packets, Video, open_video, read_packets
from model_store.decoder import Decoder, Progress
from model_store.errors import InvalidTrim, UnusableClip
from model_store.pictures import Orientation, PictureScaler
from model_store.spec import ClipSpec
from model_store.timeline import Timeline

_ANNOUNCED_SHARE = 0.9  # containers round their durations, and sound may outlast the pictures
_ROUNDED = Fraction(1, 20)  # of a frame: callers give back times that were rounded to milliseconds
_LATEST_ORIGIN = 60  # seconds of sound before the first picture; beyond it a start time is a lie


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a file between two times of a player's clock, in seconds; None is its end."""

    start_s: float | None = None
    end_s: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("start_s", self.start_s), ("end_s", self.end_s)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidTrim(f"{name} is {value}, need a finite number of at least 0")
        if self.start_s is not None and self.end_s is not None and self.start_s >= self.end_s:
            raise InvalidTrim(f"start_s is {self.start_s}, need less than end_s, {self.end_s}")

    def outputs(self, origin: Fraction, fps: Fraction) -> slice:
        """The frames of a clip that begins at `origin` whose instants are in [start_s, end_s)."""
        first, last = (
            None
            if value is None
            else max(0, math.ceil((Fraction(value) - origin) * fps - _ROUNDED))
            for value in (self.start_s, self.end_s)
        )
        return slice(first, last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    frames: NDArray[np.uint8]
    """(T', H, W, 3)"""
    times: NDArray[np.float64]
    """(T',) seconds on a player's clock."""
    timeline: Timeline
    codec: str
    size: tuple[int, int]
    """(height, width) as shown, after rotation, of the first frame."""
    errors: int
    trimmed: bool
    truncated: bool
    interlaced: bool
    size_changes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageReader:
    """Everything that says how a file is to be read."""

    spec: ClipSpec
    limits: ClipLimits
    window: Window
    threads: int
    on_packet: Progress | None

    def read(self, file: BinaryIO) -> Footage:
        """Raises NotAVideo, ClipTooLarge, UnusableClip, InvalidTrim."""
        stamps: Sequence[int | None] | None = None
        with open_video(file, self.limits, threads=self.threads) as video:
            packets = read_packets(video, self.limits)
            timeline = Timeline.of_stamps(packets.stamps, video.unit)
            if timeline is not None:
                shots = self._shoot(video, packets, timeline, sparing=packets.stamps_hold(video))
                if shots.complete:
                    return shots.footage
                stamps = shots.stamps
        if stamps is None:
            with open_video(file, self.limits, threads=self.threads) as video:
                stamps = self._scan(video, packets)
        if not stamps:
            raise UnusableClip(f"0 frames, need at least {self.spec.fragment_length}")
        with open_video(file, self.limits, threads=self.threads) as video:
            timeline = Timeline.of_stamps(stamps, video.unit)
            if timeline is None:
                timeline = Timeline.of_count(len(stamps), video.rate or self.spec.fps)
            shots = self._shoot(video, packets, timeline, sparing=False)
            if not shots.complete:
                raise UnusableClip("frames that were there are gone when decoded again")
            return shots.footage

    def _shoot(
        self, video: Video, packets: Packets, timeline: Timeline, *, sparing: bool
    ) -> "_Shots":
        """Decode and scale the frames that the spec asks for, as far as they come."""
        self.limits.check_seconds(timeline.duration)
        origin = _origin(video, timeline)
        part = self._choose(timeline, origin)
        chosen = part[-self.spec.frames :]  # (T',) indices into the timeline, never decreasing
        places = _places(chosen, timeline)
        frames = np.empty((len(chosen), *self.spec.crop, 3), np.uint8)
        sizes: list[tuple[int, int]] = []
        interlaced = False
        decoder = Decoder(video, self.limits, self.on_packet)
        scale = PictureScaler(self.spec)
        for frame in decoder.frames(packets.packets, frozenset(places) if sparing else None):
            stamp = len(decoder.stamps) - 1 if timeline.counted else frame.pts
            place = None if stamp is None else places.pop(stamp, None)
            if place is None:
                continue
            orientation = Orientation.of_frame(frame)
            frames[place] = scale(frame, orientation)
            sizes.append(orientation.size(frame))
            interlaced |= frame.interlaced_frame
            if not places:
                break
        in_order = timeline.counted or Timeline.of_stamps(decoder.stamps, timeline.unit) is not None
        footage = Footage(
            frames=frames,
            times=np.array([float(origin + timeline.seconds(index)) for index in chosen]),
            timeline=timeline,
            codec=video.context.codec.canonical_name,
            size=sizes[0] if sizes else (0, 0),
            errors=decoder.errors,
            trimmed=len(part) > len(chosen),
            truncated=packets.damaged
            or (not timeline.counted and timeline.duration < _ANNOUNCED_SHARE * video.announced),
            interlaced=interlaced,
            size_changes=len(set(sizes)) > 1,
        )
        return _Shots(
            footage=footage,
            complete=not places and in_order,
            stamps=decoder.stamps if decoder.finished else None,
        )

    def _choose(self, timeline: Timeline, origin: Fraction) -> list[int]:
        """Which frame each output shows, for all outputs in the window."""
        need = self.spec.fragment_length
        shown = timeline.resample(self.spec.fps)
        if len(shown) < need:
            raise UnusableClip(f"{len(shown)} frames, need at least {need}")
        part = shown[self.window.outputs(origin, self.spec.fps)]
        if len(part) < need:
            raise InvalidTrim(
                f"start_s and end_s leave {len(part)} of {len(shown)} frames, need at least {need}"
            )
        return part

    def _scan(self, video: Video, packets: Packets) -> Sequence[int | None]:
        """The timestamps of all frames that decode."""
        decoder = Decoder(video, self.limits, self.on_packet)
        for _ in decoder.frames(packets.packets):
            pass
        return decoder.stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shots:
    """What one run of the decoder gave."""

    footage: Footage
    complete: bool
    """Every frame that was chosen came, and all came in the order of their times."""
    stamps: Sequence[int | None] | None
    """Of all frames of the video, where all were decoded."""


def _origin(video: Video, timeline: Timeline) -> Fraction:
    """Seconds on a player's clock at which the first frame is shown."""
    if timeline.counted or video.start is None:
        return Fraction(0)
    origin = timeline.stamps[0] * timeline.unit - video.start
    return origin if 0 <= origin <= _LATEST_ORIGIN else Fraction(0)


def _places(chosen: Sequence[int], timeline: Timeline) -> dict[int, slice]:
    """Timestamp of each frame that is shown, to the outputs that show it."""
    places = {}
    for index, outputs in groupby(range(len(chosen)), key=chosen.__getitem__):
        run = list(outputs)
        places[timeline.stamps[index]] = slice(run[0], run[-1] + 1)
    return places
