"""
The same clip, stored in other ways: other rates, colours, bars, codecs.

The rule: a copy shows the same pictures at the same times. `again` is the control: what
compressing once more does by itself.

Shapes: N pictures of a file, h w its pixels; pictures are (h, w, 3) uint8, RGB.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from numpy.typing import NDArray

from model_store.clip import Source
from model_store.errors import ClipError
from model_store.video.container import open_bytes
from model_store.video.scaler import Orientation
from training.errors import DataError
from training.simulator.video import SAME_BYTES

Picture = NDArray[np.uint8]

_UNIT = Fraction(1, 90_000)  # seconds
_LARGEST = 640  # pixels of the longer side; larger pictures are made smaller before they are stored
_H264 = MappingProxyType({"crf": "12", "preset": "veryfast", "x264-params": SAME_BYTES})
_H265 = MappingProxyType({"crf": "12", "preset": "ultrafast", "x265-params": "log-level=error"})


@dataclass(frozen=True, slots=True)
class Recording:
    """The pictures of a file, and when each is shown."""

    pictures: Sequence[NDArray[Any]]
    """N of (h, w, 3), uint8; uint16 in high dynamic range."""
    times: Sequence[Fraction]
    """(N,) seconds after the first, increasing."""

    @property
    def gap(self) -> Fraction:
        """Mean seconds from a picture to the next."""
        return self.times[-1] / (len(self.times) - 1)

    def at(self, fps: int) -> "Recording":
        """Pictures repeated or left out, as converters do without making new ones."""
        count = max(1, round((self.times[-1] + self.gap) * fps))
        instants = [Fraction(k, fps) for k in range(count)]
        places = np.searchsorted([float(t) for t in self.times], [float(t) for t in instants])
        chosen = [self._nearest(int(place), t) for place, t in zip(places, instants, strict=True)]
        return Recording([self.pictures[i] for i in chosen], instants)

    def _nearest(self, place: int, time: Fraction) -> int:
        beside = [i for i in (place - 1, place) if 0 <= i < len(self.times)]
        return min(beside, key=lambda i: abs(self.times[i] - time))

    def each(self, change: Callable[[Picture], NDArray[Any]]) -> "Recording":
        return replace(self, pictures=[change(picture) for picture in self.pictures])


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Lets SVT-AV1 encode without writing to the terminal, or keeping a priority that it sets.

    If root runs it, it gives its caller real-time priority, and so whatever that starts.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageVariant:
    """One way to store a clip."""

    change: Callable[[Recording], Recording] = lambda recording: recording
    codec: str = "libx264"
    container: str = "mp4"
    format: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: _H264)
    transfer: ColorTrc | None = None
    """HLG or PQ, in BT.2020."""
    rotation: int = 0
    """Degrees counter-clockwise by which a player turns it."""
    pixel_aspect: Fraction | None = None

    def store(self, recording: Recording) -> bytes:
        changed = self.change(recording)
        height, width = (side // 2 * 2 for side in changed.pictures[0].shape[:2])
        file = io.BytesIO()
        with ordinary_priority(), av.open(file, "w", format=self.container) as output:
            rate = (1 / changed.gap).limit_denominator(1001)
            stream: Any = output.add_stream(self.codec, rate=rate, options={**self.options})
            stream.width, stream.height, stream.pix_fmt = width, height, self.format
            context = stream.codec_context
            context.thread_count = 1
            if self.container != "avi":  # which knows no times
                context.time_base = _UNIT
            if self.pixel_aspect:
                context.sample_aspect_ratio = self.pixel_aspect
            if self.rotation:
                stream.set_display_rotation(self.rotation)
            if self.transfer:
                context.color_primaries = ColorPrimaries.BT2020.value
                context.color_trc = self.transfer.value
                context.colorspace = Colorspace.BT2020.value
            for number, (picture, time) in enumerate(
                zip(changed.pictures, changed.times, strict=True)
            ):
                frame = self._frame(np.ascontiguousarray(picture[:height, :width]))
                by_number = self.container == "avi"
                frame.time_base = 1 / rate if by_number else _UNIT
                frame.pts = number if by_number else round(time / _UNIT)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return file.getvalue()

    def _frame(self, picture: NDArray[Any]) -> av.VideoFrame:
        if not self.transfer:
            return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=self.format)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb48le")
        frame = frame.reformat(format=self.format, dst_colorspace=Colorspace.BT2020)
        frame.color_primaries = ColorPrimaries.BT2020.value
        frame.color_trc = self.transfer.value
        return frame


def recording_of(source: Source) -> Recording:
    """All pictures of a file, upright.   Raises DataError."""
    pictures: list[Picture] = []
    times: list[Fraction] = []
    try:
        with open_bytes(source) as file, av.open(file, mode="r") as container:
            for frame in container.decode(video=0):
                if frame.pts is None or frame.time_base is None:
                    raise DataError(f"{name_of(source)} has no times")
                share = min(1.0, _LARGEST / max(frame.width, frame.height))
                small = frame.reformat(
                    width=round(frame.width * share / 2) * 2,
                    height=round(frame.height * share / 2) * 2,
                    format="rgb24",
                    interpolation="AREA",
                )
                pixels: Any = small.to_ndarray()
                pictures.append(Orientation.of_frame(small).apply(pixels))
                times.append(frame.pts * frame.time_base)
    except (av.FFmpegError, ClipError) as error:
        raise DataError(f"{name_of(source)} cannot be stored anew: {error}") from error
    if len(pictures) < 2:
        raise DataError(f"{name_of(source)} has {len(pictures)} pictures, need 2 at least")
    return Recording(pictures, [time - times[0] for time in times])


def name_of(source: Source) -> str:
    return "a copy" if isinstance(source, bytes) else str(source)


def _irregular(recording: Recording) -> Recording:
    """Every fourth picture is missing, as from a phone that was busy."""
    kept = [i for i in range(len(recording.times)) if i % 4 != 2]
    return Recording([recording.pictures[i] for i in kept], [recording.times[i] for i in kept])


def _stuttering(recording: Recording) -> Recording:
    """One picture in the middle has the time of the one before it, in a file that counts in ms."""
    times, middle = [*recording.times], len(recording.times) // 2
    times[middle] = times[middle - 1] + _UNIT
    return replace(recording, times=times)


def _pillars(picture: Picture) -> Picture:
    side = picture.shape[1] // 6
    return np.pad(picture, ((0, 0), (side, side), (0, 0)))


def _letterbox(picture: Picture) -> Picture:
    side = picture.shape[0] // 6
    return np.pad(picture, ((side, side), (0, 0), (0, 0)))


def _squeezed(picture: Picture) -> Picture:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    narrow = frame.reformat(width=picture.shape[1] * 3 // 4, interpolation="AREA")
    pixels: Any = narrow.to_ndarray()
    return np.asarray(pixels, np.uint8)


def _interlaced(recording: Recording) -> Recording:
    """The lines of two moments by turns, upper field first; between two pictures is their mean."""
    pictures = [np.repeat(picture, 2, axis=0) for picture in recording.pictures]
    woven = []
    for this, after in zip(pictures, [*pictures[1:], pictures[-1]], strict=True):
        frame = this.copy()
        frame[1::2] = (this[1::2].astype(np.uint16) + after[1::2]) // 2
        woven.append(frame)
    return replace(recording, pictures=woven)


# Linear BT.709 to BT.2020.   [ITU-R BT.2087]
_TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)


def _high_range(picture: Picture, transfer: ColorTrc, white: float) -> NDArray[np.uint16]:
    """`white` is that of SDR, cd/m².   [BT.2100; HLG per channel, as most converters do]"""
    light = ((picture / np.float32(255)) ** 2.4 @ _TO_BT2020.T) * white  # cd/m²
    light = np.clip(light, 0, None)
    if transfer is ColorTrc.SMPTE2084:
        power = (light / 10_000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        scene = (light / 1000) ** (1 / 1.2)
        low, high = np.sqrt(3 * scene), np.log(np.maximum(12 * scene - 0.28466892, 1e-6))
        code = np.where(scene <= 1 / 12, low, 0.17883277 * high + 0.55991073)
    return np.rint(65535 * np.clip(code, 0, 1)).astype(np.uint16)


def _in_high_range(transfer: ColorTrc, white: float = 203) -> StorageVariant:
    return StorageVariant(
        change=lambda recording: recording.each(lambda each: _high_range(each, transfer, white)),
        codec="libx265",
        format="yuv420p10le",
        options=_H265,
        transfer=transfer,
    )


STORAGE_VARIANTS: Mapping[str, StorageVariant] = {
    "again": StorageVariant(),
    "low bit rate": StorageVariant(options={**_H264, "crf": "32"}),
    "24 fps": StorageVariant(change=lambda recording: recording.at(24)),
    "25 fps": StorageVariant(change=lambda recording: recording.at(25)),
    "50 fps": StorageVariant(change=lambda recording: recording.at(50)),
    "60 fps": StorageVariant(change=lambda recording: recording.at(60)),
    "variable rate": StorageVariant(change=_irregular),
    "a time twice": StorageVariant(
        change=_stuttering,
        codec="mjpeg",
        container="matroska",
        format="yuvj420p",
        options={"qmin": "2", "qmax": "2"},
    ),
    "HLG": _in_high_range(ColorTrc.ARIB_STD_B67),
    "HLG, white at 100 cd/m²": _in_high_range(ColorTrc.ARIB_STD_B67, 100),
    "PQ": _in_high_range(ColorTrc.SMPTE2084),
    "pillars": StorageVariant(change=lambda recording: recording.each(_pillars)),
    "letterbox": StorageVariant(change=lambda recording: recording.each(_letterbox)),
    "interlaced": StorageVariant(
        change=_interlaced,
        format="yuv422p",
        options={**_H264, "x264-params": f"{SAME_BYTES}:tff=1:interlaced=1"},
    ),
    "rotated": StorageVariant(change=lambda recording: recording.each(np.rot90), rotation=-90),
    "anamorphic": StorageVariant(
        change=lambda recording: recording.each(_squeezed), pixel_aspect=Fraction(4, 3)
    ),
    "HEVC": StorageVariant(codec="libx265", options=_H265),
    "VP9": StorageVariant(
        codec="libvpx-vp9",
        container="webm",
        options={"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8"},
    ),
    "AV1": StorageVariant(codec="libsvtav1", options={"crf": "20", "preset": "10"}),
    "MJPEG": StorageVariant(
        codec="mjpeg", container="avi", format="yuvj420p", options={"qmin": "2", "qmax": "2"}
    ),
}
