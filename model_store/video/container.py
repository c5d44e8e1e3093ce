"""
Opens video files that strangers made.

The rule: FFmpeg gets bytes and never a name, may open nothing else, and uses only the few
containers and codecs listed here, also while it probes. Every limit is enforced on what was
read, not on what the file claims. Decoders have had memory errors before and will have them
again: where clips come from outside, run this in a process that may die.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, TypeAlias

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from model_store.errors import NotAVideo, UnusableClip
from model_store.video.frame_files import FrameFiles
from model_store.video.limits import ClipLimits
from model_store.video.truncation import FileLength

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | FrameFiles

CONTAINERS = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts")
CODECS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mjpeg")

_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # of a track of Matroska

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails
_BUFFER = 1 << 20  # bytes a read
_TIMEOUT = 30.0  # seconds to open a file that makes FFmpeg loop; reading itself does not block


@dataclass(frozen=True, slots=True)
class Video:
    """An open container and the one stream of it that matters."""

    container: InputContainer
    stream: VideoStream
    context: VideoCodecContext
    file_length: FileLength | None
    """None for a container whose length is not stored in it."""

    @property
    def time_base(self) -> Fraction | None:
        """Seconds of one step of the stream's timestamps."""
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
        """The metadata of the file and of the video, by names in small letters."""
        tags = {**self.container.metadata, **self.stream.metadata}
        return {name.lower(): value for name, value in tags.items()}

    def end(self, first: int) -> int | None:
        """When the last frame ends, as the file states it; `first` is when the first one begins.

        Both are timestamps of the stream. None where the file only states how long everything in
        it lasts, sound and subtitles too, or states nothing: the duration that FFmpeg gives for a
        transport stream is its own estimate.
        """
        if self.kind == "matroska":
            return self._matroska_end()
        if self.kind == "mpegts" or not self.stream.duration:
            return None
        return first + self.stream.duration

    def _matroska_end(self) -> int | None:
        whole = self.container.duration
        if whole is None or not self.time_base:
            return None
        end = Fraction(whole, av.time_base)
        stated = _DURATION_TAG.fullmatch(self.tags.get("duration", ""))
        if stated:
            hours, minutes, seconds = stated.groups()
            end = min(end, 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds))
        elif len(self.container.streams) > 1:
            return None
        return round(end / self.time_base)

    @property
    def start(self) -> Fraction | None:
        """When a player's clock begins, in seconds of the stream's: sound may precede frames."""
        start: int | None = self.container.start_time
        return None if start is None else Fraction(start, av.time_base)

    @property
    def cut_off(self) -> bool:
        """Whether bytes are missing at the end of the file."""
        return self.file_length is not None and self.file_length.cut_off

    def too_short(self, frames: int, need: int) -> UnusableClip:
        """The error for a video of too few frames."""
        text = f"{frames_in_words(frames)}, need at least {need}"
        return UnusableClip(text + _missing(self.file_length))


def frames_in_words(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


@contextmanager
def open_bytes(source: Source) -> Iterator[BinaryIO]:
    """Any source as a seekable file, at its beginning.   Raises NotAVideo if it cannot be read."""
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
    """Hash of the whole file, which is left at its beginning.   Raises NotAVideo if it is empty."""
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
def open_video(file: BinaryIO, limits: ClipLimits) -> Iterator[Video]:
    """The main video stream of a file, after every check that is possible before decoding.

    Raises NotAVideo, UnusableClip, ClipTooLarge.
    """
    file_length = FileLength.of(file)
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
    except MemoryError:  # FFmpeg's is one of both kinds
        raise
    except (av.FFmpegError, UnicodeError, OSError) as error:
        raise NotAVideo(_why_not(file_length)) from error
    with container:
        limits.check_streams(len(container.streams))
        stream = _main_stream(container, file_length)
        context = stream.codec_context
        if context.name not in CODECS:
            raise NotAVideo(f"codec {context.name}, need one of {_list(CODECS)}")
        if context.width or context.height:
            limits.check_size(context.width, context.height)
        context.options = decoder_options  # those of the container do not reach this context
        if context.name == "mjpeg":  # else the missing part of a frame is old memory
            context.options |= {"err_detect": "explode"}
        context.thread_count, context.thread_type = 1, "NONE"
        for other in container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all
        yield Video(container, stream, context, file_length)


def _why_not(file_length: FileLength | None) -> str:
    if file_length is None:
        return f"not a video file of a kind that we read ({_list(CONTAINERS)})"
    why = file_length.missing or "its content is damaged"
    return f"a file that begins as {file_length.kind} does, but {why}; need a complete one"


def _main_stream(container: InputContainer, file_length: FileLength | None) -> VideoStream:
    usable = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _STILLS
    ]
    if not usable:
        raise UnusableClip("no video stream, need one" + _missing(file_length))
    best = container.streams.best("video")
    for stream in usable:
        if best is not None and stream.index == best.index:
            return stream
    return max(usable, key=lambda stream: stream.codec_context.width * stream.codec_context.height)


def _missing(file_length: FileLength | None) -> str:
    """The end of an error's text: which part of the file is missing, as far as it is known."""
    missing = file_length.missing if file_length else None
    return f"; {missing}" if missing else ""


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


class _Nameless:
    """All that FFmpeg needs of a file. From a name it would guess the format, or open that file."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
