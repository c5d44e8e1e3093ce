"""
Reads the part of a file that a spec asks for: which frames, decoded how, at what times.

The rule: of a sound file comes back what decoding everything would have given. Mostly the packets'
timestamps tell beforehand which frames are needed, and decoding those is enough. Where they turn
out to be wrong (frames missing, out of order, without times), all is decoded once to learn the
true times, and again for the pictures. Damage outside the part that is needed is not noticed.

A clip is as long as its pictures say. What the container says of its own length counts sound and
subtitles, too.

What only all frames together show, such as bars, is learnt from those that are needed. Where there
is something to mend they are decoded once more.

Shapes: T' frames of at most the spec's T, H W pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_store.errors import InvalidTrim, UnusableClip
from model_store.spec import ClipSpec
from model_store.video.capture import is_slow_motion, is_time_lapse
from model_store.video.colours import WHITE
from model_store.video.container import ClipLimits, Demuxed, Video, demux, open_video
from model_store.video.decoder import Decoder, Progress
from model_store.video.scaler import Facts, PictureScaler
from model_store.video.timeline import Timeline, in_order

_ANNOUNCED_SHARE = Fraction(9, 10)  # of a file that is all there: containers round durations
_MOST_REPEATS = Fraction(1, 20)  # of the frames; more are a low frame rate
_STILL = 3  # frames; longer a picture stays because nothing happens
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

    def seconds(self, origin: Fraction, duration: Fraction) -> Fraction:
        """How much of a clip that begins at `origin` lies in the window."""
        first, last = Fraction(0), duration
        if self.start_s is not None:
            first = max(first, Fraction(self.start_s) - origin)
        if self.end_s is not None:
            last = min(last, Fraction(self.end_s) - origin)
        return last - first


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    frames: NDArray[np.uint8]
    """(T', H, W, 3)"""
    times: NDArray[np.float64]
    """(T',) seconds on a player's clock."""
    timeline: Timeline
    origin: Fraction
    """Seconds on a player's clock at which the first frame of the video is shown."""
    codec: str
    size: tuple[int, int]
    """(height, width) as shown, after rotation, of the first frame."""
    errors: int
    trimmed: bool
    truncated: bool
    clock_jumps: bool
    slow_motion: bool
    time_lapse: bool
    interlaced: bool
    low_frame_rate: bool
    size_changes: bool
    facts: Facts
    """What was found of all frames, and mended."""
    colours_guessed: bool


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
        footage = self._read(file, None)
        return footage if footage.facts == Facts() else self._read(file, footage.facts)

    def _read(self, file: BinaryIO, facts: Facts | None) -> Footage:
        """With what is known of all frames; None: find it out."""
        stamps: Sequence[int | None] | None = None
        with open_video(file, self.limits, threads=self.threads) as video:
            demuxed = demux(video, self.limits)
            timeline = _timeline(video, demuxed, demuxed.stamps)
            if timeline is not None and not timeline.repaired:
                part = self._part(video, timeline, facts)
                sparing = demuxed.stamps_hold(video)
                shots = self._shoot(video, demuxed, part, facts, by_stamp=True, sparing=sparing)
                if shots.complete:
                    return _footage(video, demuxed, part, shots)
                stamps = shots.stamps
        if stamps is None:
            stamps = self._scan(file, demuxed)
        with open_video(file, self.limits, threads=self.threads) as video:
            if not stamps:
                raise _too_few(video, 0, self.spec.fragment_length)
            timeline = _timeline(video, demuxed, stamps)
            if timeline is None:
                timeline = Timeline.of_count(len(stamps), video.rate or self.spec.fps)
            part = self._part(video, timeline, facts)
            shots = self._shoot(video, demuxed, part, facts, by_stamp=False)
            if not shots.complete:
                raise UnusableClip("frames that were there are gone when decoded again")
            return _footage(video, demuxed, part, shots)

    def _part(self, video: Video, timeline: Timeline, facts: Facts | None) -> "_Part":
        """Which frames the spec and the window ask for."""
        self.limits.check_seconds(timeline.duration)
        need = self.spec.fragment_length
        moments = timeline.fields() if facts and facts.fields else timeline
        shown = moments.resample(self.spec.fps)
        if len(shown) < need:
            raise _too_few(video, len(shown), need)
        origin = _origin(video, timeline)
        inside = shown[self.window.outputs(origin, self.spec.fps)]
        if len(inside) < need:
            raise InvalidTrim(
                f"start_s and end_s leave {_frames(len(inside))} of {len(shown)},"
                f" need at least {need}"
            )
        kept = inside[-self.spec.frames :]
        over = self.window.seconds(origin, timeline.duration) - self.spec.frames / self.spec.fps
        trimmed = len(kept) < len(inside) and over >= _rounding(timeline, self.spec)
        return _Part(timeline, moments, origin, kept, trimmed)

    def _shoot(
        self,
        video: Video,
        demuxed: Demuxed,
        part: "_Part",
        facts: Facts | None,
        *,
        by_stamp: bool,
        sparing: bool = False,
    ) -> "_Shots":
        """Decode and scale the frames of a part, as far as they come.

        Frames are found by their timestamps, or by their places among all that are shown.
        """
        places = part.places(part.timeline.stamps if by_stamp else part.timeline.pictures)
        decoder = Decoder(video, self.limits, self.on_packet)
        scale = PictureScaler(self.spec, facts)
        shots = _Shots(np.empty((len(part.shown), *self.spec.crop, 3), np.uint8))
        for frame in decoder.frames(demuxed.packets, frozenset(places) if sparing else None):
            key = frame.pts if by_stamp else len(decoder.stamps) - 1
            place = None if key is None else places.pop(key, None)
            if place is None:
                continue
            pictures, orientation = scale(frame)
            for moment, outputs in place:
                shots.frames[outputs] = pictures[moment if len(pictures) > 1 else 0]
            shots.sizes.append(orientation.size(frame))
            if not places:
                break
        shots.complete = not places and (not by_stamp or in_order(decoder.stamps))
        shots.stamps = decoder.stamps if decoder.finished else None
        shots.errors = decoder.errors
        shots.interlaced, shots.colours_guessed = scale.interlaced, scale.guessed
        shots.facts = scale.found
        return shots

    def _scan(self, file: BinaryIO, demuxed: Demuxed) -> Sequence[int | None]:
        """The timestamps of all frames that decode, in the order in which they are shown."""
        with open_video(file, self.limits, threads=self.threads) as video:
            decoder = Decoder(video, self.limits, self.on_packet)
            for _ in decoder.frames(demuxed.packets):
                pass
        return decoder.stamps


@dataclass(frozen=True, slots=True)
class _Part:
    """What is to be shown of a video."""

    timeline: Timeline
    moments: Timeline
    """Of the frames, or of their fields."""
    origin: Fraction
    """Seconds on a player's clock at which the first frame of the video is shown."""
    shown: Sequence[int]
    """(T',) which moment each output shows, never decreasing."""
    trimmed: bool

    def places(self, keys: Sequence[int]) -> dict[int, list[tuple[int, slice]]]:
        """The key of each frame that is shown, to its fields and the outputs that show them."""
        places: dict[int, list[tuple[int, slice]]] = {}
        fields = len(self.moments.stamps) // len(self.timeline.stamps)
        for index, outputs in groupby(range(len(self.shown)), key=self.shown.__getitem__):
            run = list(outputs)
            frame, field = divmod(index, fields)
            place = field, slice(run[0], run[-1] + 1)
            places.setdefault(keys[frame], []).append(place)
        return places

    @property
    def repeats(self) -> int:
        """Frames that show the same as the one before; no more than a few of each picture."""
        runs = (len([*run]) for _, run in groupby(self.shown))
        return sum(min(run, _STILL) - 1 for run in runs)

    def times(self) -> NDArray[np.float64]:
        """(T',) seconds on a player's clock."""
        seconds = (self.origin + self.moments.seconds(index) for index in self.shown)
        return np.fromiter(map(float, seconds), np.float64, len(self.shown))


@dataclass(slots=True)
class _Shots:
    """What one run of the decoder gave of a part."""

    frames: NDArray[np.uint8]
    sizes: list[tuple[int, int]] = field(default_factory=list)
    interlaced: bool = False
    colours_guessed: bool = False
    facts: Facts = Facts()  # noqa: RUF009 it is frozen
    errors: int = 0
    complete: bool = False
    """Every frame that was wanted came, and all came in the order of their times."""
    stamps: Sequence[int | None] | None = None
    """Of all frames of the video, where all were decoded."""


def _footage(video: Video, demuxed: Demuxed, part: _Part, shots: _Shots) -> Footage:
    timeline = part.timeline
    return Footage(
        frames=shots.frames,
        times=part.times(),
        timeline=timeline,
        origin=part.origin,
        codec=video.context.codec.canonical_name,
        size=shots.sizes[0],
        errors=shots.errors,
        trimmed=part.trimmed,
        truncated=_truncated(video, demuxed, timeline),
        clock_jumps=demuxed.clock_jumps,
        slow_motion=is_slow_motion(video.tags, timeline.fps),
        time_lapse=is_time_lapse(video.tags, timeline.fps),
        interlaced=shots.interlaced,
        low_frame_rate=part.repeats > _MOST_REPEATS * len(part.shown),
        size_changes=len(set(shots.sizes)) > 1,
        facts=shots.facts,
        colours_guessed=shots.colours_guessed or shots.facts.white != WHITE,
    )


def _timeline(video: Video, demuxed: Demuxed, stamps: Sequence[int | None]) -> Timeline | None:
    """The times of pictures in the order in which they are shown; None where too few are usable."""
    moved = False
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and demuxed.in_decoding_order(video):
        # The times are right, but not at their pictures. In AVI that is as it should be.
        stamps, moved = sorted(known), video.kind != "avi" and not in_order(stamps)
    hold = _stated_hold(video, demuxed, known)
    return Timeline.of_stamps(stamps, video.unit, stated_hold=hold, repaired=moved)


def _stated_hold(video: Video, demuxed: Demuxed, known: Sequence[int]) -> int:
    """Steps that the last picture stays, as the container says; 0 where it does not."""
    announced = [stamp for stamp in demuxed.stamps if stamp is not None]
    if not known or not announced or max(known) != announced[-1] or _cut_off(video):
        return 0
    end = video.end(announced[0])
    stated = [] if end is None else [end - announced[-1]]
    if video.kind == "mov":  # whose last packet may well be that of an earlier picture
        stated.append(demuxed.packets[-1].duration or 0)
    return max(0, min(stated, default=0))


def _truncated(video: Video, demuxed: Demuxed, timeline: Timeline) -> bool:
    """Whether pictures are missing at the beginning or the end.

    At the beginning: the first one stored refers to one that is not there, as where a broadcast is
    cut anywhere. At the end: where bytes are missing, even one picture counts; sound may be all
    that they held. A file that is all there and announces more was edited by something that forgot
    to say so.
    """
    if demuxed.damaged or not demuxed.packets[0].is_keyframe:
        return True
    end = None if timeline.counted else video.end(timeline.stamps[0])
    if end is None or (video.kind == "avi" and _cut_off(video)):  # its length is what was found
        return _cut_off(video)
    if _cut_off(video):
        return 2 * (end - timeline.stamps[-1] - timeline.hold) > timeline.gap
    announced = (end - timeline.stamps[0]) * timeline.unit
    return video.kind != "matroska" and timeline.duration < _ANNOUNCED_SHARE * announced


def _cut_off(video: Video) -> bool:
    return video.file_end is not None and video.file_end.cut_off


def _rounding(timeline: Timeline, spec: ClipSpec) -> Fraction:
    """Seconds by which a clip may be longer than T frames without being called trimmed.

    A copy of T frames at another rate ends with its own last picture: it is longer by less than
    one of its pictures, after half an output at most that T frames were rounded down by.
    """
    return timeline.gap * timeline.unit + 1 / (2 * spec.fps)


def _origin(video: Video, timeline: Timeline) -> Fraction:
    if timeline.counted or video.start is None:
        return Fraction(0)
    origin = timeline.stamps[0] * timeline.unit - video.start
    return origin if 0 <= origin <= _LATEST_ORIGIN else Fraction(0)


def _too_few(video: Video, count: int, need: int) -> UnusableClip:
    missing = video.file_end.missing if video.file_end else None
    text = f"{_frames(count)}, need at least {need}"
    return UnusableClip(f"{text}; {missing}" if missing else text)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
