"""
Scales decoded frames to the upright frames of the size that a spec asks for.

The rule: one scaler, one thread, one pass from the decoder's pixels to the spec's size. Corrections
that depend on all frames (black bars, the order of fields, the white level of a dim master) are
detected while the frames are scaled; where one is needed they are decoded and scaled once more.

Shapes: H W pixels of the spec's crop; scaled frames are (H, W, 3) uint8 in the spec's colour order.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from model_store.errors import UnusableClip
from model_store.spec import ClipSpec
from model_store.video.black_bars import BarDetector, Bars
from model_store.video.colour_conversion import (
    WHITE,
    ColourConversion,
    ColourTags,
    WhiteLevelDetector,
    encoded,
)
from model_store.video.deinterlacing import FieldOrder, FieldOrderDetector, blend_fields

Pixels = NDArray[np.uint8]

_SCALERS = {
    "area": Interpolation.AREA,
    "bilinear": Interpolation.BILINEAR,
    "bicubic": Interpolation.BICUBIC,
}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a decoded frame is turned before it is shown: transposed first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_matrix(cls, matrix: bytes) -> "Orientation":
        """From a display matrix; upright if that holds anything but quarter turns and mirrors."""
        # x' = a·x + c·y and y' = b·x + d·y
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
        if a and d and 100 * max(abs(b), abs(c)) <= min(abs(a), abs(d)):
            return cls(flip_x=a < 0, flip_y=d < 0)
        if b and c and 100 * max(abs(a), abs(d)) <= min(abs(b), abs(c)):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls()

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> "Orientation":
        try:
            data: Any = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # side data of a kind that PyAV does not know
            return cls()
        return cls() if data is None else cls.of_matrix(bytes(data))

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(height, width) of a decoded frame when shown."""
        size = frame.height, frame.width
        return size[::-1] if self.transpose else size

    def apply(self, pixels: Pixels) -> Pixels:
        if self.transpose:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What is corrected in every frame of a clip, and depends on all of them; none by default."""

    bars: Bars = Bars()  # noqa: RUF009 it is frozen
    """Cut off each frame."""
    fields: FieldOrder | None = None
    """The order of fields that show different moments and become frames of their own."""
    white: float = WHITE
    """cd/m² of SDR white, for frames of high dynamic range."""


class FrameScaler:
    """Scales the frames of one clip for one spec.

    A frame without its bars is scaled to the spec's `resize` as it is shown (after rotation,
    whatever its aspect ratio), then the crop is cut from the centre, at (resize − crop) // 2.
    Colours are those that the frame's tags state; without a tag the matrix is BT.601, as everywhere
    in FFmpeg. High dynamic range and wide gamut are converted to BT.709, see `colour_conversion`;
    for interlaced frames see `deinterlacing`.
    """

    def __init__(self, spec: ClipSpec, corrections: Corrections | None = None) -> None:
        """`corrections` are those that an earlier scaler found for the same frames; None: detect
        them."""
        self._height, self._width = spec.resize
        top, left = ((r - c) // 2 for r, c in zip(spec.resize, spec.crop, strict=True))
        self._crop = np.s_[top : top + spec.height, left : left + spec.width]
        self._order = spec.colour_order
        self._interpolation = _SCALERS[spec.scaler]
        self._reformatter = VideoReformatter()
        self._transpose = False
        self._detecting = corrections is None
        self._corrections = corrections or Corrections()
        self._cutters: dict[tuple[int, int, str, bool], _Cutter] = {}
        self._conversions: dict[tuple[Any, ...], ColourConversion] = {}
        self._bars = BarDetector()
        self._fields = FieldOrderDetector()
        self._white = WhiteLevelDetector()
        self._guessed = False
        self.interlaced = False
        """A frame was flagged as interlaced."""
        self.high_range = False
        """A frame was of high dynamic range."""

    @property
    def corrections(self) -> Corrections:
        """What was given, or what the frames so far need."""
        if not self._detecting:
            return self._corrections
        return Corrections(bars=self._bars.bars, fields=self._fields.order, white=self._white.white)

    @property
    def colours_guessed(self) -> bool:
        """The colours of a frame, or the white level of the clip, had to be guessed."""
        return self._guessed or self.corrections.white != WHITE

    def scale(self, frame: VideoFrame) -> tuple[tuple[Pixels, ...], Orientation]:
        """The scaled frame, and how it was turned.

        Where the corrections give an order of fields, an interlaced frame becomes two, in the order
        of their times. Each is a view of memory that lives as long as the view does.

        The display matrix is read from the small frame, which has it, too, and never from the
        decoder's own: a frame whose side data was read is in a cycle of references and keeps its
        pixels until the garbage collector runs, which for large frames is a hundred frames later.
        """
        interlaced = frame.interlaced_frame
        self.interlaced |= interlaced
        cut = self._cut(frame, interlaced) if self._corrections.bars else frame
        tags = frame.color_trc, frame.color_primaries, frame.colorspace, frame.format.name
        conversion = self._conversions.get(tags) or ColourConversion(ColourTags.of_frame(frame))
        small = self._resized(cut, conversion, interlaced)
        orientation = Orientation.of_frame(small)
        if orientation.transpose != self._transpose:  # not as the frame before was
            self._transpose = orientation.transpose
            small = self._resized(cut, conversion, interlaced)
        if tags not in self._conversions:  # the small frame has the data of its mastering, too
            conversion = self._conversions[tags] = ColourConversion(
                ColourTags.of_frame(frame),
                mastered=_has(small, "MASTERING_DISPLAY_METADATA"),
                dolby=_has(small, "DOVI_RPU_BUFFER") or _has(small, "DOVI_METADATA"),
            )
        self._guessed |= conversion.guessed
        self.high_range |= conversion.high_range
        pixels = self._converted(small, conversion)
        if interlaced:
            if self._detecting:
                self._fields.add(pixels)
            order = self._corrections.fields
            frames = order.separate(pixels) if order else (blend_fields(pixels),)
        else:
            frames = (pixels,)
        if self._detecting:
            self._bars.add(frame, frames[0])
        return tuple(orientation.apply(each)[self._crop] for each in frames), orientation

    def _resized(
        self, frame: VideoFrame, conversion: ColourConversion, interlaced: bool
    ) -> VideoFrame:
        """At the spec's size, an interlaced frame at twice its height: fields line by line."""
        width, height = self._width, self._height
        if self._transpose:
            width, height = height, width
        try:
            return self._reformatter.reformat(
                frame,
                width=width,
                height=2 * height if interlaced else height,
                format=f"{self._order}24" if conversion.as_stored else "rgb48le",
                src_colorspace=conversion.matrix,
                interpolation=self._interpolation,
                threads=1,
            )
        except MemoryError:  # FFmpeg's is one of both kinds
            raise
        except av.FFmpegError as error:
            raise UnusableClip(
                f"frames of {frame.width}×{frame.height} {frame.format.name} cannot be scaled"
            ) from error

    def _converted(self, small: VideoFrame, conversion: ColourConversion) -> Pixels:
        stored: Any = small.to_ndarray()
        if conversion.as_stored:
            pixels: Pixels = stored  # 24 bits: uint8
            return pixels
        light = conversion.light(stored)
        if conversion.high_range and self._detecting:
            self._white.add(light)
        pixels = encoded(light, self._corrections.white if conversion.high_range else WHITE)
        return pixels if self._order == "rgb" else pixels[..., ::-1]

    def _cut(self, frame: VideoFrame, interlaced: bool) -> VideoFrame:
        kind = frame.width, frame.height, frame.format.name, interlaced
        if kind not in self._cutters:
            self._cutters[kind] = _Cutter(frame, self._corrections.bars, interlaced)
        return self._cutters[kind](frame)


class _Cutter:
    """Cuts bars off frames of one size and format, without a copy of their pixels."""

    def __init__(self, frame: VideoFrame, bars: Bars, interlaced: bool) -> None:
        bars = bars.aligned((frame.height, frame.width), frame.format, fields=interlaced)
        width = frame.width - bars.left - bars.right
        height = frame.height - bars.top - bars.bottom
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 90_000),
            ),
            self._graph.add("crop", f"{width}:{height}:{bars.left}:{bars.top}"),
            self._graph.add("buffersink"),
        ).configure()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        self._graph.push(frame)
        cut: Any = self._graph.pull()
        return cut  # type: ignore[no-any-return]


def _has(frame: VideoFrame, kind: str) -> bool:
    """Whether a frame has side data of a kind."""
    try:
        return frame.side_data.get(kind) is not None
    except ValueError:  # side data of a kind that PyAV does not know
        return False
