"""
Other looks of the same clip: uint8 frames in, uint8 frames out, between `decode` and `prepare`.

The rule: with nothing switched on `draw` gives None and the frames stay the very same, so that
training without augmentation is the service path. One look holds for all frames of a clip.

Shapes: T' frames, H W pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]

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

    def apply(self, frames: Frames) -> Frames:
        """(T', H, W, 3) uint8 -> the same shape."""
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

    @property
    def is_off(self) -> bool:
        return not (self.flip or self.colour or self.zoom)

    def draw(self, random: np.random.Generator, size: tuple[int, int]) -> Look | None:
        """A look for frames of `size` (H, W); None when switched off."""
        if self.is_off:
            return None
        height, width = size
        kept = 1 - self.zoom * random.random()
        shown = max(1, round(height * kept)), max(1, round(width * kept))
        common = random.uniform(-self.colour, self.colour, 2)  # contrast, brightness
        apart = random.uniform(-self.colour, self.colour, 3) / 2  # contrast of each channel
        gain = 1 + common[0] + apart
        offset = 127.5 * (common[1] + 1 - gain)  # contrast turns around the middle
        return Look(
            flip=bool(random.random() < self.flip),
            window=(
                int(random.integers(height - shown[0] + 1)),
                int(random.integers(width - shown[1] + 1)),
                *shown,
            ),
            gain=(float(gain[0]), float(gain[1]), float(gain[2])),
            offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        )
