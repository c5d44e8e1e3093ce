"""
Other looks of the same clip: uint8 frames in, uint8 frames out, between `decode` and `prepare`.

The rule: with nothing switched on `draw` gives None and the frames stay the very same, so that
training without augmentation is the service path. One look holds for all frames of a clip.

Shapes: T' frames, H W pixels.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from model_store.video.timeline import Timeline

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]

RATES = range(200, 291)  # of 300: 20 to 29 pictures a second where clips have 30
EARLIER = range(30)  # frames of a video before the clip: they decide which pictures are missing
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)  # COCO-17, left and right


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one clip is changed."""

    flip: bool
    """Left and right exchanged."""
    window: tuple[int, int, int, int]
    """Top, left, height and width that are scaled up to the whole frame; pixels."""
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    """A channel becomes gain × value + offset, 0–255."""
    shown: tuple[int, ...] | None = None
    """(≥ T',) the frame that is shown in the place of each, see `shown_at`; None shows each."""

    def apply(self, frames: Frames) -> Frames:
        """(T', H, W, 3) uint8 -> the same shape."""
        if self.shown is not None:
            frames = frames[self.frames_shown(len(frames))]
        top, left, height, width = self.window
        size = frames.shape[1:3]
        looked = frames[:, top : top + height, left : left + width]
        if (height, width) != size:
            pixels = torch.from_numpy(np.ascontiguousarray(looked)).permute(0, 3, 1, 2)
            scaled = F.interpolate(pixels, size, mode="bilinear", antialias=True)
            looked = scaled.permute(0, 2, 3, 1).numpy()
        if self.flip:
            looked = looked[:, :, ::-1]
        levels = np.arange(256, dtype=np.float32)
        result = np.empty(frames.shape, np.uint8)
        for c in range(3):
            table = np.clip(np.rint(self.gain[c] * levels + self.offset[c]), 0, 255)
            np.take(table.astype(np.uint8), looked[..., c], out=result[..., c], mode="clip")
        return result

    def frames_shown(self, count: int) -> NDArray[np.int64]:
        """(count,): which of so many frames is shown in the place of each."""
        if self.shown is None:
            return np.arange(count)
        return np.minimum(self.shown[:count], count - 1)

    def mirror(self, joints: Points) -> Points:
        """(…, 17, 2) COCO-17 joints relative to the body -> as this look shows them."""
        if not self.flip:
            return joints
        return joints[..., MIRRORED, :] * np.array([-1, 1], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far looks may go; all zeros is off."""

    flip: float = 0.0
    """Probability."""
    colour: float = 0.0
    """Contrast varies by this share, brightness by this share of 255 / 2, and channels apart."""
    zoom: float = 0.0
    """Largest share of height and width that is cut away."""
    low_frame_rate: float = 0.0
    """Probability that the clip is shown as its copy at a lower frame rate shows it."""

    @property
    def is_off(self) -> bool:
        return not (self.flip or self.colour or self.zoom or self.low_frame_rate)

    def draw(self, random: np.random.Generator, count: int, size: tuple[int, int]) -> Look | None:
        """A look for at most `count` frames of `size` (H, W); None when switched off."""
        if self.is_off:
            return None
        height, width = size
        kept = 1 - self.zoom * random.random()
        window = max(1, round(height * kept)), max(1, round(width * kept))
        common = random.uniform(-self.colour, self.colour, 2)  # contrast, brightness
        apart = random.uniform(-self.colour, self.colour, 3) / 2  # contrast of each channel
        gain = 1 + common[0] + apart
        offset = 127.5 * (common[1] + 1 - gain)  # contrast turns around the middle
        look = Look(
            flip=bool(random.random() < self.flip),
            window=(
                int(random.integers(height - window[0] + 1)),
                int(random.integers(width - window[1] + 1)),
                *window,
            ),
            gain=(float(gain[0]), float(gain[1]), float(gain[2])),
            offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        )
        # Last, and only if it is switched on: the other draws of a seed do not depend on it.
        if self.low_frame_rate and random.random() < self.low_frame_rate:
            rate = Fraction(int(random.choice(RATES)), 300)
            look = replace(look, shown=shown_at(rate, count, int(random.choice(EARLIER))))
        return look


def shown_at(rate: Fraction, count: int, earlier: int = 0) -> tuple[int, ...]:
    """(count,): which frames of a clip are shown where its video was stored at a lower rate.

    `rate` is a share of the clip's own. The video has `earlier` frames before the `count` frames of
    the clip. Its copy holds the frame nearest to each of the copy's instants, the earlier of two
    that are equally near, and is read by the clip contract. So each frame is at most one from its
    place.
    """
    # Instants of the copy are j / rate, in frames of the video; some are after the clip.
    instants = range(math.ceil((earlier + count + 1) * rate) + 1)
    kept = [math.ceil(j / rate - Fraction(1, 2)) for j in instants]
    read = Timeline.at_rate(len(kept), rate).resample(Fraction(1))
    shown = (kept[j] - earlier for j in read[earlier : earlier + count])
    return tuple(min(max(frame, 0), count - 1) for frame in shown)
