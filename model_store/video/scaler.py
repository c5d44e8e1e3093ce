"""
Turns decoded frames into the small upright pictures that a spec asks for.

The rule: one scaler, one thread, one pass from the decoder's pixels to the spec's size. What can be
seen of all frames only (bars, the order of fields, how bright a dim master is) is looked for while
they are scaled; where something is found the frames are decoded and scaled once more.

Shapes: H W pixels of the spec's crop; pictures are (H, W, 3) uint8 in the spec's colour order.
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
from model_store.video.bars import BarFinder, Bars
from model_store.video.colours import WHITE, Colours, LightMeter, Tags, shown
from model_store.video.interlaced import FieldOrder, FieldWatch, together

Picture = NDArray[np.uint8]

_SCALERS = {
    "area": Interpolation.AREA,
    "bilinear": Interpolation.BILINEAR,
    "bicubic": Interpolation.BICUBIC,
}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a decoded picture is turned before it is shown: transposed first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_matrix(cls, matrix: bytes) -> "Orientation":
        """From a display matrix; one that is not made of quarter turns and mirrors is upright."""
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

    def apply(self, picture: Picture) -> Picture:
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What must be known of all frames of a clip to scale one of them."""

    bars: Bars = Bars()  # noqa: RUF009 it is frozen
    """Cut off each frame."""
    fields: FieldOrder | None = None
    """Of frames whose fields show different moments."""
    white: float = WHITE
    """cd/m² of SDR white, for pictures of high dynamic range."""


class PictureScaler:
    """Decoded frames to pictures of one spec. One thread; colours as the frame's tags say.

    What is left of a frame without bars is scaled to the spec's `resize` as it is seen (after
    rotation, whatever its aspect ratio), then the crop is cut from the centre, at
    (resize − crop) // 2. Without a tag the matrix is BT.601, as everywhere in FFmpeg. High dynamic
    range and wide gamut become BT.709, see `colours`; of interlaced frames see `fields`.
    """

    def __init__(self, spec: ClipSpec, facts: Facts | None = None) -> None:
        """`facts` are those that `found` reported of the same frames; None: look for them."""
        self._height, self._width = spec.resize
        top, left = ((r - c) // 2 for r, c in zip(spec.resize, spec.crop, strict=True))
        self._crop = np.s_[top : top + spec.height, left : left + spec.width]
        self._order = spec.colour_order
        self._interpolation = _SCALERS[spec.scaler]
        self._reformatter = VideoReformatter()
        self._transpose = False
        self._looking = facts is None
        self._facts = facts or Facts()
        self._cutters: dict[tuple[int, int, str, bool], _Cutter] = {}
        self._colours: dict[tuple[Any, ...], Colours] = {}
        self._bars = BarFinder()
        self._fields = FieldWatch()
        self._meter: LightMeter | None = None
        self.interlaced = False
        """A frame was flagged so."""
        self.guessed = False
        """The colours of a frame had to be guessed."""

    @property
    def found(self) -> Facts:
        """What the frames so far show."""
        if not self._looking:
            return self._facts
        return Facts(
            bars=self._bars.bars,
            fields=self._fields.order,
            white=self._meter.white if self._meter else WHITE,
        )

    def __call__(self, frame: VideoFrame) -> tuple[tuple[Picture, ...], Orientation]:
        """The pictures, and how they are turned.

        One for each field, in the order of their times, where `facts` give that order; else one.
        Each is a view of memory that lives as long as the view does.

        The small frame knows the matrix, too. The decoder's own is never asked: a frame that was
        asked for its side data is in a cycle of references and keeps its pixels until the garbage
        collector comes by, which for large pictures is a hundred frames later.
        """
        interlaced = frame.interlaced_frame
        self.interlaced |= interlaced
        cut = self._cut(frame, interlaced) if self._facts.bars else frame
        tags = frame.color_trc, frame.color_primaries, frame.colorspace, frame.format.name
        colours = self._colours.get(tags) or Colours(Tags.of_frame(frame))
        small = self._scaled(cut, colours, interlaced)
        orientation = Orientation.of_frame(small)
        if orientation.transpose != self._transpose:  # not as the frame before was
            self._transpose = orientation.transpose
            small = self._scaled(cut, colours, interlaced)
        if tags not in self._colours:  # the small frame says how it was mastered, too
            colours = self._colours[tags] = Colours(
                Tags.of_frame(frame),
                mastered=_has(small, "MASTERING_DISPLAY_METADATA"),
                dolby=_has(small, "DOVI_RPU_BUFFER") or _has(small, "DOVI_METADATA"),
            )
        self.guessed |= colours.guessed
        pixels = self._converted(small, colours)
        if interlaced:
            if self._looking:
                self._fields.look(pixels)
            order = self._facts.fields
            pictures = order.in_order(pixels) if order else (together(pixels),)
        else:
            pictures = (pixels,)
        if self._looking:
            self._bars.look(frame, pictures[0])
        return tuple(orientation.apply(each)[self._crop] for each in pictures), orientation

    def _scaled(self, frame: VideoFrame, colours: Colours, interlaced: bool) -> VideoFrame:
        """One picture; of an interlaced frame the lines of two by turns, its fields."""
        width, height = self._width, self._height
        if self._transpose:
            width, height = height, width
        try:
            return self._reformatter.reformat(
                frame,
                width=width,
                height=2 * height if interlaced else height,
                format=f"{self._order}24" if colours.as_stored else "rgb48le",
                src_colorspace=colours.matrix,
                interpolation=self._interpolation,
                threads=1,
            )
        except av.FFmpegError as error:
            raise UnusableClip(
                f"frames of {frame.width}×{frame.height} {frame.format.name} cannot be scaled"
            ) from error

    def _converted(self, small: VideoFrame, colours: Colours) -> Picture:
        pixels: Any = small.to_ndarray()
        if colours.as_stored:
            picture: Picture = pixels  # 24 bits: uint8
            return picture
        light = colours.light(pixels)
        if colours.high_range and self._looking:
            self._meter = self._meter or LightMeter()
            self._meter.look(light)
        picture = shown(light, self._facts.white if colours.high_range else WHITE)
        return picture if self._order == "rgb" else picture[..., ::-1]

    def _cut(self, frame: VideoFrame, interlaced: bool) -> VideoFrame:
        kind = frame.width, frame.height, frame.format.name, interlaced
        if kind not in self._cutters:
            self._cutters[kind] = _Cutter(frame, self._facts.bars, interlaced)
        return self._cutters[kind](frame)


class _Cutter:
    """Cuts bars off frames of one size and format, without a copy of their pixels."""

    def __init__(self, frame: VideoFrame, bars: Bars, interlaced: bool) -> None:
        bars = bars.aligned((frame.height, frame.width), frame.format, fields=interlaced)
        width = frame.width - bars.left - bars.right
        height = frame.height - bars.top - bars.bottom
        self._graph = av.filter.Graph()
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
