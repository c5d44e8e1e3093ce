"""What reading a clip may cost: the limits, and the errors of a clip that exceeds them."""

from dataclasses import dataclass
from fractions import Fraction

from model_store.errors import ClipTooLarge, UnusableClip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits:
    """Beyond them: ClipTooLarge, or UnusableClip for the side and the error share."""

    max_width: int = 4096
    max_height: int = 4096
    max_pixels: int = 8_294_400
    """Of one frame: 3840 × 2160."""
    min_side: int = 16
    """Pixels."""
    max_frames: int = 5400
    max_seconds: float = 300.0
    max_decoded_pixels: int = 5400 * 1920 * 1080
    """Of all frames together."""
    max_bytes: int = 1 << 28
    """Of compressed video, which is held in memory while it is decoded."""
    max_streams: int = 16
    max_error_share: float = 0.5
    """Of the frames: those that do not decode."""

    def check_size(self, width: int, height: int) -> None:
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

    def check_bytes(self, size: int) -> None:
        if size > self.max_bytes:
            raise ClipTooLarge(f"more than {self.max_bytes} bytes of video")

    def check_streams(self, streams: int) -> None:
        if streams > self.max_streams:
            raise ClipTooLarge(f"{streams} streams, allowed are {self.max_streams}")

    def check_decoded_pixels(self, pixels: int) -> None:
        if pixels > self.max_decoded_pixels:
            raise ClipTooLarge(f"more than {self.max_decoded_pixels} pixels in all frames together")

    def check_seconds(self, seconds: Fraction) -> None:
        if seconds > self.max_seconds:
            raise ClipTooLarge(f"{float(seconds):.1f} s, allowed are {self.max_seconds:g} s")

    def check_errors(self, errors: int, packets: int) -> None:
        if errors > self.max_error_share * packets:
            raise UnusableClip(
                f"{errors} of {packets} frames are damaged, allowed are {self.max_error_share:.0%}"
            )
