"""
Converts frames of high dynamic range or wide gamut to BT.709, as if they had been stored in it.

The rule: the file's tags decide. Where they are missing, the most likely ones are assumed and the
clip is marked as guessed. Colours that are BT.709, BT.601 or untagged are left as they are.

A frame is converted after it was scaled: that is nearest to what scaling the BT.709 frame gives.
Light is measured in shares of SDR white. SDR white is at 203 cd/m² [BT.2408]; but a clip in which
almost nothing is brighter than 100 cd/m² was mastered with its white there, as many converters do,
and that is a guess, too. Everything brighter than white becomes white.

HLG's system gamma, 1.2 for a display of 1000 cd/m², is applied to each channel. [BT.2100] applies
it to the luminance; a camera for BT.709 and its display together apply it to each channel, so the
colours are those that a BT.709 recording of the scene has.

[BT.2100] HLG and PQ.   [BT.2408] reference white.   [BT.1886] gamma 2.4.   [H.273] the tags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

WHITE = 203.0  # cd/m² of SDR white
LOW_WHITE = 100.0  # cd/m² of SDR white where nothing of the clip is brighter
_BRIGHTER = 1.05  # times LOW_WHITE: noise and overshoot stay below
_BRIGHT_SHARE = 1e-3  # of all pixels; less than that is noise

_GAMMA = 2.4
_LUMINANCE: Floats = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of BT.709
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_GAMUTS = {  # chromaticities x, y of red, green and blue; white is D65
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    ColorPrimaries.SMPTE431: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_UNTAGGED = (0, 2, 3)  # reserved or unspecified, in all three of the tags
_OF_BT2020 = (9, 10, 14)  # matrices that come with these primaries: NCL, CL, ICtCp
_READABLE = (0, 1, 2, 4, 5, 6, 7, 9)  # matrices that swscale knows
_SDR_DEPTH = 8  # bits; high dynamic range needs more


def _of_sdr(code: Doubles) -> Doubles:
    """Shares of white, for every SDR tag: players treat them all alike.   [BT.1886]"""
    return code**_GAMMA


def _of_hlg(code: Doubles) -> Doubles:
    """Shares of cd/m²: scene light by the inverse OETF, then the display's.   [BT.2100, table 5]"""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return 1000 / WHITE * scene**1.2


def _of_pq(code: Doubles) -> Doubles:
    """[BT.2100, table 4]"""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    light: Doubles = 10_000 / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


_TRANSFERS: dict[int, Callable[[Doubles], Doubles]] = {
    ColorTrc.ARIB_STD_B67.value: _of_hlg,
    ColorTrc.SMPTE2084.value: _of_pq,
}
_UNREADABLE = (8, 9, 10, 17)  # transfers that are not made for a screen: linear, log, cinema


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTags:
    """The colours that a frame is tagged with, in numbers of [H.273]."""

    transfer: int
    primaries: int
    matrix: int
    depth: int
    """Bits a channel."""

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> "ColourTags":
        return cls(
            transfer=int(frame.color_trc),
            primaries=int(frame.color_primaries),
            matrix=int(frame.colorspace),
            depth=frame.format.components[0].bits,
        )

    @property
    def deep_and_untagged(self) -> bool:
        """SDR, or Dolby Vision without a base layer that other players can show."""
        tags = (self.transfer, self.primaries, self.matrix)
        return self.depth > _SDR_DEPTH and all(tag in _UNTAGGED for tag in tags)


class ColourConversion:
    """How frames with the same tags become BT.709."""

    def __init__(self, tags: ColourTags, *, mastered: bool = False, dolby: bool = False) -> None:
        """`mastered`: the frame describes the display on which it was mastered, as PQ does.

        `dolby`: it has the data of Dolby Vision.
        """
        transfer, primaries = tags.transfer, tags.primaries
        self.matrix: Colorspace | None = None
        """The matrix that swscale is to assume; None is the tagged one."""
        self.guessed = transfer in _UNREADABLE or (dolby and tags.deep_and_untagged)
        if tags.matrix not in _READABLE:
            wide = tags.matrix in _OF_BT2020 or primaries == ColorPrimaries.BT2020.value
            self.matrix = Colorspace.BT2020 if wide else Colorspace.ITU601
            self.guessed |= tags.matrix not in _UNTAGGED
        if primaries in _UNTAGGED:
            if tags.matrix in _OF_BT2020:
                primaries = ColorPrimaries.BT2020.value
            elif transfer in _TRANSFERS:
                primaries = ColorPrimaries.BT2020.value
                self.guessed = True
        is_wide = primaries == ColorPrimaries.BT2020.value
        if is_wide and transfer in _UNTAGGED and tags.depth > _SDR_DEPTH:
            kind = ColorTrc.SMPTE2084 if mastered else ColorTrc.ARIB_STD_B67
            transfer = kind.value
            self.guessed = True
        self._light_of = _TRANSFERS.get(transfer, _of_sdr)
        self._gamut = next((xy for tag, xy in _GAMUTS.items() if tag.value == primaries), _BT709)

    @property
    def high_range(self) -> bool:
        """HLG or PQ."""
        return self._light_of is not _of_sdr

    @property
    def as_stored(self) -> bool:
        """There is nothing to convert."""
        return not self.high_range and self._gamut is _BT709

    @cached_property
    def _light(self) -> Floats:
        """(65536,): light of each code, in shares of WHITE."""
        return self._light_of(np.linspace(0, 1, 1 << 16)).astype(np.float32)

    @cached_property
    def _to_bt709(self) -> Floats:
        """(3, 3): linear RGB of this gamut to that of BT.709."""
        matrix = np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(self._gamut)
        return matrix.astype(np.float32)

    def light(self, pixels: NDArray[np.uint16]) -> Floats:
        """(H, W, 3) RGB -> linear BT.709, in shares of WHITE; may be outside 0…1."""
        linear: Floats = self._light[pixels] @ self._to_bt709.T
        return linear


def encoded(light: Floats, white: float) -> NDArray[np.uint8]:
    """Linear BT.709 in shares of WHITE -> what an SDR frame stores, full range."""
    share = np.clip(light * np.float32(WHITE / white), 0, 1)
    pixels: NDArray[np.uint8] = np.rint(255 * share ** np.float32(1 / _GAMMA)).astype(np.uint8)
    return pixels


class WhiteLevelDetector:
    """Finds from the frames of a clip whether its white is that of a dim master."""

    def __init__(self) -> None:
        self._bright = 0
        self._pixels = 0

    def add(self, light: Floats) -> None:
        """A frame, (H, W, 3), in shares of WHITE."""
        luminance = light @ _LUMINANCE
        self._bright += int(np.count_nonzero(luminance > _BRIGHTER * LOW_WHITE / WHITE))
        self._pixels += luminance.size

    @property
    def white(self) -> float:
        """cd/m² of SDR white."""
        dim = self._bright < _BRIGHT_SHARE * self._pixels
        return LOW_WHITE if dim else WHITE


def _to_xyz(gamut: Any) -> NDArray[np.float64]:
    """(3, 3): linear RGB to XYZ, for white D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in gamut]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    xyz: NDArray[np.float64] = columns * np.linalg.solve(columns, white)
    return xyz
