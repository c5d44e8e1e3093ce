"""
Detects the black bars around the picture of a clip, so that they can be cut off.

The rule: a bar is black, flat and steady over all frames, its edge is straight and sharp, and the
picture begins along the whole length of the edge. A dark hall is no bar: its border is ragged or
soft, or it is not as black. Bars come in pairs; a single one must be beyond doubt. In case of doubt
nothing is cut off.

This costs ordinary clips almost nothing. The outermost lines of the scaled frames rule bars out as
soon as one frame is not black there; until then each frame is examined in full size.

Shapes: h w pixels of a frame as stored, before it is turned; levels are 0…255, full range.
"""

import math
from dataclasses import dataclass

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

Levels = NDArray[np.uint8]

_LEAST = 0.025  # of the side; thinner ones move no score, and many old recordings have them
_LEAST_LEFT = 0.2  # of the side that the picture keeps
_LEAST_PIXELS = 16
_SEEN_BLACK = 32  # level of a scaled frame's edge; scaling may mix in what is beside the bar
_BLACK = 6.0  # mean level of a bar
_NOISE = 20  # its highest level over all frames, except for strays
_FLAT = 2.5  # standard deviation of its mean over the frames
_STRAYS = 0.01  # share of a line's pixels that may be brighter
_STEP = 4  # levels above the bar's highest: the picture
_BLOCK = 16  # pixels beside the picture into which a codec spreads its noise
_SHARP = 0.01  # of the side; an edge is not wider
_BEGINS = 0.5  # share of the edge's length at which the picture begins at once
_DOUBTLESS = 0.9  # the same for a bar that is alone
_DOUBTLESS_BLACK = 3.0
_DOUBTLESS_MOST = 0.25  # of the side


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Rows and columns to cut off a frame as stored; none is the default."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any((self.top, self.bottom, self.left, self.right))

    def aligned(self, size: tuple[int, int], pixels: VideoFormat, *, fields: bool) -> "Bars":
        """For frames (h, w) of a pixel format: no chroma sample is split, no field is shifted.

        In doubt one more row or column of the picture is cut off, so that no bar remains.
        """
        height, width = size
        step_y = (8 // (pixels.chroma_height(8) or 8)) * (2 if fields else 1)
        step_x = 8 // (pixels.chroma_width(8) or 8)
        top, left = _up(self.top, step_y), _up(self.left, step_x)
        kept_y = (height - top - self.bottom) // step_y * step_y if self.bottom else height - top
        kept_x = (width - left - self.right) // step_x * step_x if self.right else width - left
        return Bars(top=top, bottom=height - top - kept_y, left=left, right=width - left - kept_x)


class BarDetector:
    """Examines the frames of a clip, one after another."""

    def __init__(self) -> None:
        self._detecting = True
        self._edges: list[Levels] | None = None
        self._reformatter = VideoReformatter()
        self._highest: Levels | None = None
        self._sum: NDArray[np.uint32] | None = None
        self._frames = 0

    def add(self, frame: VideoFrame, small: Levels) -> None:
        """A frame, and the same one scaled, neither turned nor cropped, (H, W, 3)."""
        if not self._detecting:
            return
        edges = [line.max(axis=1) for line in _outermost(small)]
        if self._edges is not None:
            edges = [np.maximum(a, b) for a, b in zip(self._edges, edges, strict=True)]
        self._edges = edges
        levels: Levels | None = None
        if not _bright(edges):
            grey = self._reformatter.reformat(
                frame, format="gray", dst_color_range=ColorRange.JPEG, threads=1
            )
            levels = grey.to_ndarray()  # type: ignore[assignment]  # 8 bits: uint8
        if levels is None or (self._highest is not None and self._highest.shape != levels.shape):
            self._detecting = False
            self._highest = self._sum = None
            return
        if self._highest is None or self._sum is None:
            self._highest, self._sum = levels.copy(), levels.astype(np.uint32)
        else:
            np.maximum(self._highest, levels, out=self._highest)
            self._sum += levels
        self._frames += 1

    @property
    def bars(self) -> Bars:
        """Those of all frames that were added."""
        if self._highest is None or self._sum is None:
            return Bars()
        return bars_of(self._highest, self._sum / self._frames)


def rules_bars_out(small: Levels) -> bool:
    """Whether a single frame, scaled and not cropped, (H, W, 3), shows that there are none."""
    return _bright([line.max(axis=1) for line in _outermost(small)])


def _outermost(small: Levels) -> tuple[Levels, ...]:
    return small[0], small[-1], small[:, 0], small[:, -1]


def _bright(edges: list[Levels]) -> bool:
    return all(np.mean(line > _SEEN_BLACK) > _STRAYS for line in edges)


def bars_of(highest: Levels, mean: NDArray[np.float64]) -> Bars:
    """From the highest and the mean level of each pixel over the frames, both (h, w)."""
    top, bottom = _pair(highest, mean)
    rows = slice(top, len(highest) - bottom)
    left, right = _pair(highest[rows].T, mean[rows].T)
    return Bars(top=top, bottom=bottom, left=left, right=right)


def _pair(highest: Levels, mean: NDArray[np.float64]) -> tuple[int, int]:
    """Rows of black above and below; a bar without its counterpart must be beyond doubt."""
    least = max(2, math.ceil(_LEAST * len(highest)))
    above = _bar(highest, mean, least)
    below = _bar(highest[::-1], mean[::-1], least)
    if not above.rows or not below.rows:
        most = int(_DOUBTLESS_MOST * len(highest))
        above, below = above.beyond_doubt(most), below.beyond_doubt(most)
    left = len(highest) - above.rows - below.rows
    if left < max(_LEAST_PIXELS, _LEAST_LEFT * len(highest)):
        return 0, 0
    return above.rows, below.rows


@dataclass(frozen=True, slots=True)
class _Bar:
    lines: int = 0
    """How many are dark."""
    rows: int = 0
    """The same if they are a bar, else 0."""
    begins: float = 0.0
    """Share of the edge's length at which the picture begins at once."""
    level: float = 0.0

    def beyond_doubt(self, most: int) -> "_Bar":
        sure = self.begins >= _DOUBTLESS and self.level <= _DOUBTLESS_BLACK and self.rows <= most
        return self if sure else _Bar()


def _bar(highest: Levels, mean: NDArray[np.float64], least: int) -> _Bar:
    """The bar above a picture."""
    bound = float(np.quantile(highest[:least], 1 - _STRAYS))
    if bound > _NOISE:
        return _Bar()
    # The edge of a dark picture, or only the point where the codec's noise begins.
    nearest = _edge(highest, mean, bound + _STEP, least)
    sure = _edge(highest, mean, _NOISE + _STEP, least)
    return sure if sure.rows and sure.rows - nearest.lines <= _BLOCK else nearest


def _edge(highest: Levels, mean: NDArray[np.float64], level: float, least: int) -> _Bar:
    """The bar that ends where a picture brighter than `level` begins."""
    seen = highest > level
    lines = np.flatnonzero(seen.mean(axis=1) > _STRAYS)
    rows = int(lines[0]) if len(lines) else 0
    if rows < least:
        return _Bar(lines=rows)
    black, spread = mean[:rows].mean(), mean[: rows - 1].std()
    columns = np.flatnonzero(seen[rows:].any(axis=0))  # pillars beside the picture do not count
    width = max(3, math.ceil(_SHARP * len(highest)))
    edge = seen[rows : rows + width, columns[0] : columns[-1] + 1]
    begins = float(edge.any(axis=0).mean())
    if black > _BLACK or spread > _FLAT or begins < _BEGINS:
        return _Bar(lines=rows)
    return _Bar(rows, rows, begins, float(black))


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
