"""
Opens video files that strangers made.

The rule: FFmpeg sees bytes and never a name, may open nothing else, and meets only the few
containers and codecs listed here, also while it probes. Every limit is enforced on what was
read, not on what the file claims. Decoders have had memory errors before and will have them
again: where clips come from outside, run this in a process that may die.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import BinaryIO, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from model_store.errors import ClipTooLarge, NotAVideo, UnusableClip
from model_store.video.clock import shifts
from model_store.video.file_end import FileEnd
from model_store.video.frame_files import FrameFiles

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic in its stubs only
Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | FrameFiles

CONTAINERS = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts")
CODECS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mjpeg")

_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # of a track of Matroska

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails
_BUFFER = 1 << 20  # bytes a read
_TIMEOUT = 30.0  # seconds to open; bytes never keep FFmpeg waiting, a trick to make it wait might


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits:
    """What a clip may cost. Beyond it: ClipTooLarge, or UnusableClip for the error share."""

    max_width: int = 4096
    max_height: int = 4096
    max_pixels: int = 8_294_400
    """A picture: 3840 × 2160."""
    min_side: int = 16
    """Pixels; UnusableClip below."""
    max_frames: int = 5400
    max_seconds: float = 300.0
    max_decoded_pixels: int = 5400 * 1920 * 1080
    """All pictures of the clip together."""
    max_bytes: int = 1 << 28
    """Of compressed video, which is held in memory while it is decoded."""
    max_streams: int = 16
    max_error_share: float = 0.5
    """Of the pictures that do not decode."""

    def check_picture(self, width: int, height: int) -> None:
        if width > self.max_width or height > self.max_height or width * height > self.max_pixels:
            raise ClipTooLarge(
                f"pictures of {width}×{height}, allowed are {self.max_width}×{self.max_height}"
                f" and {self.max_pixels} pixels"
            )
        if min(width, height) < self.min_side:
            raise UnusableClip(
                f"pictures of {width}×{height}, need at least {self.min_side} pixels a side"
            )

    def check_frames(self, frames: int) -> None:
        if frames > self.max_frames:
            raise ClipTooLarge(f"more than {self.max_frames} frames")

    def check_decoded_pixels(self, pixels: int) -> None:
        if pixels > self.max_decoded_pixels:
            raise ClipTooLarge(f"more than {self.max_decoded_pixels} pixels in all frames together")

    def check_seconds(self, seconds: Fraction) -> None:
        if seconds > self.max_seconds:
            raise ClipTooLarge(f"{float(seconds):.1f} s, allowed are {self.max_seconds:g} s")


@dataclass(frozen=True, slots=True)
class Video:
    """An open container and the one stream of it that matters."""

    container: InputContainer
    stream: VideoStream
    context: VideoCodecContext
    file_end: FileEnd | None
    """Of a file of a kind that says how long it is."""

    @property
    def unit(self) -> Fraction | None:
        """Seconds a step of the stream's timestamps."""
        return self.stream.time_base

    @property
    def rate(self) -> Fraction | None:
        """The frame rate that the file claims."""
        return self.stream.guessed_rate or self.stream.average_rate

    @property
    def kind(self) -> str:
        """The container: mov, matroska, avi or mpegts."""
        return self.container.format.name.split(",")[0]

    @property
    def tags(self) -> Mapping[str, str]:
        """What the file says about itself and the video, by names in small letters."""
        tags = {**self.container.metadata, **self.stream.metadata}
        return {name.lower(): value for name, value in tags.items()}

    def end(self, first: int) -> int | None:
        """Where the file says that its pictures end, on the stream's clock; `first` is the first.

        None where it only says how long everything in it lasts, sound and subtitles, too, or
        nothing: what FFmpeg says of a transport stream, it has found by looking.
        """
        if self.kind == "matroska":
            return self._matroska_end()
        if self.kind == "mpegts" or not self.stream.duration:
            return None
        return first + self.stream.duration

    def _matroska_end(self) -> int | None:
        whole = self.container.duration
        if whole is None or not self.unit:
            return None
        end = Fraction(whole, av.time_base)
        stated = _DURATION_TAG.fullmatch(self.tags.get("duration", ""))
        if stated:
            hours, minutes, seconds = stated.groups()
            end = min(end, 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds))
        elif len(self.container.streams) > 1:
            return None
        return round(end / self.unit)

    @property
    def start(self) -> Fraction | None:
        """Where a player's clock begins, on the stream's clock: sound may begin before pictures."""
        start: int | None = self.container.start_time
        return None if start is None else Fraction(start, av.time_base)


@dataclass(frozen=True, slots=True)
class Demuxed:
    """The compressed pictures of a video."""

    packets: list[VideoPacket]
    """In decoding order."""
    damaged: bool
    """Reading ended with an error and not with the end of the file."""
    clock_jumps: bool
    """Gaps in the clock were closed; the packets' times are those without them."""

    @property
    def stamps(self) -> Sequence[int | None]:
        """Timestamps of the frames that are shown, in order, then those that are not known."""
        shown = [packet for packet in self.packets if not packet.is_discard]
        known = sorted(packet.pts for packet in shown if packet.pts is not None)
        return known + [None] * (len(shown) - len(known))

    def in_decoding_order(self, video: Video) -> bool:
        """Whether the timestamps are those at which pictures are decoded, and not shown.

        AVI knows no others: FFmpeg then counts packets as they are stored, which is wrong for a
        codec that stores frames in another order than it shows them. Some writers of other
        containers know as little.
        """
        stored = [packet.pts for packet in self.packets if packet.pts is not None]
        return bool(video.context.has_b_frames) and all(a <= b for a, b in pairwise(stored))

    def stamps_hold(self, video: Video) -> bool:
        """Whether the packets' timestamps can be those of the frames."""
        known = all(packet.pts is not None for packet in self.packets)
        return known and not self.in_decoding_order(video)


@contextmanager
def open_bytes(source: Source) -> Iterator[BinaryIO]:
    """A seekable file for any source, at its beginning.   Raises NotAVideo if it cannot be read."""
    if isinstance(source, FrameFiles):
        source = source.video()
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        try:
            file = open(source, "rb", buffering=0)  # noqa: SIM115 the caller's errors are not ours
        except (OSError, ValueError) as error:
            raise NotAVideo("the file cannot be opened") from error
        with file:
            yield file
    elif source.seekable():
        source.seek(0)
        yield source
    else:
        yield io.BytesIO(source.read())


def sha256_of(file: BinaryIO) -> str:
    """Hash of the whole file, which is left at its beginning. An empty one is NotAVideo."""
    digest = hashlib.sha256()
    size = 0
    file.seek(0)
    while chunk := file.read(_BUFFER):
        digest.update(chunk)
        size += len(chunk)
    if not size:
        raise NotAVideo("0 bytes, need a video file")
    file.seek(0)
    return digest.hexdigest()


@contextmanager
def open_video(file: BinaryIO, limits: ClipLimits, *, threads: int = 1) -> Iterator[Video]:
    """The main video stream of a file, checked against all that can be known before decoding.

    Raises NotAVideo, UnusableClip, ClipTooLarge.
    """
    file_end = FileEnd.of(file)
    file.seek(0)
    decoder_options = {"max_pixels": str(2 * limits.max_pixels)}  # it counts the padding, too
    try:
        container = av.open(
            _Nameless(file),
            mode="r",
            options=decoder_options
            | {
                "protocol_whitelist": "",
                "format_whitelist": ",".join(CONTAINERS),
                "codec_whitelist": ",".join(CODECS),  # else probing decodes with any codec
            },
            metadata_errors="replace",
            buffer_size=_BUFFER,
            timeout=(_TIMEOUT, None),
        )
    except (av.FFmpegError, UnicodeError, OSError) as error:
        raise NotAVideo(_why_not(file_end)) from error
    with container:
        if len(container.streams) > limits.max_streams:
            raise ClipTooLarge(
                f"{len(container.streams)} streams, allowed are {limits.max_streams}"
            )
        stream = _main_stream(container, file_end)
        context = stream.codec_context
        if context.name not in CODECS:
            raise NotAVideo(f"codec {context.name}, need one of {_list(CODECS)}")
        if context.width or context.height:
            limits.check_picture(context.width, context.height)
        context.options = decoder_options  # those of the container do not reach this context
        if context.name == "mjpeg":  # else what is missing of a picture is old memory
            context.options |= {"err_detect": "explode"}
        context.thread_count = threads
        context.thread_type = "AUTO" if threads != 1 else "NONE"
        for other in container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all
        yield Video(container, stream, context, file_end)


def demux(video: Video, limits: ClipLimits) -> Demuxed:
    """All packets of the video stream.   Raises ClipTooLarge as soon as a limit is passed."""
    packets: list[VideoPacket] = []
    size = 0
    damaged = False
    try:
        for packet in video.container.demux(video.stream):
            if not packet.size:  # the last one, which flushes, and empty ones of AVI
                continue
            packets.append(packet)
            size += packet.size
            limits.check_frames(len(packets))
            if size > limits.max_bytes:
                raise ClipTooLarge(f"more than {limits.max_bytes} bytes of video")
    except (av.FFmpegError, OSError, IndexError):  # IndexError: a stream that appears later
        damaged = True
    moved = shifts(
        [packet.dts if video.context.has_b_frames else packet.pts for packet in packets],
        [packet.pts for packet in packets],
        video.unit,
        broadcast=video.kind == "mpegts",
    )
    for packet, shift in zip(packets, moved, strict=True):
        if shift:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
    return Demuxed(packets, damaged, any(moved))


def _why_not(file_end: FileEnd | None) -> str:
    if file_end is None:
        return f"not a video file of a kind that we read ({_list(CONTAINERS)})"
    why = file_end.missing or "what it holds is damaged"
    return f"a file that begins as {file_end.kind} does, but {why}; need a whole one"


def _main_stream(container: InputContainer, file_end: FileEnd | None) -> VideoStream:
    usable = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _STILLS
    ]
    if not usable:
        missing = file_end.missing if file_end else None
        raise UnusableClip("no video stream, need one" + (f"; {missing}" if missing else ""))
    best = container.streams.best("video")
    for stream in usable:
        if best is not None and stream.index == best.index:
            return stream
    return max(usable, key=lambda stream: stream.codec_context.width * stream.codec_context.height)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


class _Nameless:
    """All that FFmpeg needs of a file. It would take a name for a hint, or open what it names."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
