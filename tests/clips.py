"""
Synthetic clips for the tests of all packages, written with PyAV.

`numbered` frames carry their own index, and the codec of `lossless` keeps every pixel, so a test
can say exactly which frame it got back.

Shapes: T frames, H W pixels; frames are (T, H, W, 3) uint8, RGB.
"""

import functools
import io
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from training.measure.stored_copies import ordinary_priority

Frames = NDArray[np.uint8]

LOSSLESS: dict[str, Any] = {"codec": "libx264rgb", "options": {"qp": "0", "preset": "ultrafast"}}
"""Arguments of `write_clip` for an H.264 file whose decoded RGB is the RGB that went in."""


def write_clip(
    target: str | os.PathLike[str] | BinaryIO,
    frames: Iterable[Frames],
    *,
    fps: int | Fraction = 30,
    codec: str = "libx264",
    container: str = "mp4",
    pix_fmt: str | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int | None = None,
    matrix: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    audio: float = 0.0,
) -> None:
    """Encode (H, W, 3) uint8 RGB frames, all of one size.

    `pts` gives each frame's time in `time_base` (default 1/fps). `rotation` is the display
    rotation in degrees counter-clockwise, `matrix` the nine numbers of a display matrix, `audio`
    the seconds of a tone that begins at 0.
    """
    time_base = time_base or 1 / Fraction(fps)
    rgb = codec.endswith("rgb")
    file: Any = target if isinstance(target, (str, os.PathLike)) else _Nameless(target)
    with av.open(file, "w", format=container, container_options=container_options or {}) as output:
        output.metadata.update(metadata or {})
        stream: Any = None
        sound: Any = None
        for index, pixels in enumerate(frames):
            if stream is None:
                stream = output.add_stream(codec, rate=fps, options=options or {})
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = pix_fmt or ("rgb24" if rgb else "yuv420p")
                stream.codec_context.time_base = time_base
                stream.codec_context.thread_count = 1
                if rotation is not None:
                    stream.set_display_rotation(rotation)
                if matrix is not None:
                    stream.set_display_matrix(matrix)
                if audio:
                    sound = output.add_stream("aac", rate=48000, layout="mono")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.time_base = time_base
            frame.pts = index if pts is None else pts[index]
            output.mux(stream.encode(frame))
            if sound is not None and index == 0:
                output.mux(_tone(sound, seconds=audio))
        if stream is not None:
            output.mux(stream.encode(None))
        if sound is not None:
            output.mux(sound.encode(None))


def clip_of(frames: Iterable[Frames], **arguments: Any) -> bytes:
    """`write_clip` into memory."""
    buffer = io.BytesIO()
    with ordinary_priority():
        write_clip(buffer, frames, **arguments)
    return buffer.getvalue()


def lossless(frames: Iterable[Frames], **arguments: Any) -> bytes:
    """An H.264 mp4 that decodes to exactly these pixels."""
    return clip_of(frames, **LOSSLESS | arguments)


@functools.cache
def clip_bytes(
    frames: int = 151, height: int = 120, width: int = 160, fps: int = 30, seed: int = 0
) -> bytes:
    """An ordinary H.264 mp4 with moving content."""
    return clip_of(
        moving_square(frames, height, width, seed=seed), fps=fps, options={"preset": "ultrafast"}
    )


def large_clip(frames: int = 151) -> bytes:
    """`clip_bytes` that take a while to decode."""
    return clip_bytes(frames=frames, height=480, width=640)


def moving_square(frames: int, height: int, width: int, seed: int = 0) -> Frames:
    """A bright square that wanders over a textured background, (T, H, W, 3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 120, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    background = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    clip = np.repeat(background[None], frames, axis=0)
    side = max(2, min(height, width) // 5)
    colour = random.integers(180, 256, 3, dtype=np.uint8)
    phase, turns = random.uniform(0, 2 * np.pi), random.uniform(1, 3)
    angles = phase + turns * 2 * np.pi * np.arange(frames) / max(frames, 1)
    tops = ((height - side) * (0.5 + 0.5 * np.sin(angles))).astype(int)
    lefts = ((width - side) * (0.5 + 0.5 * np.cos(1.3 * angles))).astype(int)
    for picture, top, left in zip(clip, tops, lefts, strict=True):
        picture[top : top + side, left : left + side] = colour
    return clip


def numbered(count: int, height: int = 32, width: int = 32, first: int = 0) -> Frames:
    """Frames that carry their own number in their colour; `numbers` reads it back."""
    index = np.arange(first, first + count)
    clip = np.empty((count, height, width, 3), np.uint8)
    clip[..., 0] = (index % 256)[:, None, None]
    clip[..., 1] = (index // 256)[:, None, None]
    clip[..., 2] = (100 + 37 * index % 128)[:, None, None]  # not blank, and clearly another picture
    return clip


def numbers(clip: Frames) -> list[int]:
    """The numbers of `numbered` frames, from the pixel in the middle; -1 for a blank frame."""
    pixel = clip[:, clip.shape[1] // 2, clip.shape[2] // 2].astype(int)  # (T, 3)
    return [int(r + 256 * g) if b else -1 for r, g, b in pixel]


def still_png(height: int = 64, width: int = 64) -> bytes:
    return clip_of(numbered(1, height, width), codec="png", container="image2pipe", pix_fmt="rgb24")


def audio_only(container: str = "mp4") -> bytes:
    """One second of sound and no video stream."""
    buffer = io.BytesIO()
    with av.open(_Nameless(buffer), "w", format=container) as output:
        stream: Any = output.add_stream("aac", rate=48000, layout="mono")
        output.mux(_tone(stream, seconds=1.0))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _tone(stream: Any, seconds: float) -> list[Any]:
    samples = int(48000 * seconds)
    wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(samples) / 48000)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), 0
    return list(stream.encode(frame))


class _Nameless:
    """Only what a muxer needs of a file: a name would be taken for a format hint."""

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell = file.write, file.seek, file.tell
