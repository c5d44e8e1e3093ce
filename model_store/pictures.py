"""
Turns decoded frames into the small upright pictures that a spec asks for.

The rule: one scaler, one thread, one pass from the decoder's pixels to the spec's size.

Shapes: H W pixels of the spec's crop; pictures are (H, W, 3) uint8 in the spec's colour order.
"""

import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from model_store.errors import UnusableClip
from model_store.spec import ClipSpec

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


class PictureScaler:
    """Decoded frames to pictures of one spec. One thread; colours as the frame's tags say.

    The whole picture is scaled to the spec's `resize` as it is seen (after rotation, whatever its
    aspect ratio), then the crop is cut from the centre, at (resize − crop) // 2. Without a tag the
    matrix is BT.601, as everywhere in FFmpeg. HDR is not tone-mapped, fields are not separated.
    """

    def __init__(self, spec: ClipSpec) -> None:
        self._height, self._width = spec.resize
        top, left = ((r - c) // 2 for r, c in zip(spec.resize, spec.crop, strict=True))
        self._crop = np.s_[top : top + spec.height, left : left + spec.width]
        self._format = f"{spec.colour_order}24"
        self._interpolation = _SCALERS[spec.scaler]
        self._reformatter = VideoReformatter()
        self._transpose = False

    def __call__(self, frame: VideoFrame) -> tuple[Picture, Orientation]:
        """The picture, a view of memory that lives as long as the view does, and how it is turned.

        The small frame knows the matrix, too. The decoder's own is never asked: a frame that was
        asked for its side data is in a cycle of references and keeps its pixels until the garbage
        collector comes by, which for large pictures is a hundred frames later.
        """
        small = self._scaled(frame)
        orientation = Orientation.of_frame(small)
        if orientation.transpose != self._transpose:  # not as the frame before was
            self._transpose = orientation.transpose
            small = self._scaled(frame)
        pixels: Picture = small.to_ndarray()  # type: ignore[assignment]  # 24 bits: uint8
        return orientation.apply(pixels)[self._crop], orientation

    def _scaled(self, frame: VideoFrame) -> VideoFrame:
        width, height = self._width, self._height
        if self._transpose:
            width, height = height, width
        try:
            return self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format=self._format,
                interpolation=self._interpolation,
                threads=1,
            )
        except av.FFmpegError as error:
            raise UnusableClip(
                f"frames of {frame.width}×{frame.height} {frame.format.name} cannot be scaled"
            ) from error
