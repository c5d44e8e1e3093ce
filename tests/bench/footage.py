"""
The videos that are measured, made here: nobody's footage, but as costly to decode as such.

A slow pan over a texture of many scales, things that cross it, and a sensor's noise. Drawn in
YUV; encoded by FFmpeg's own encoders with their usual settings. Kept in a folder, since drawing
and encoding takes longer than what is measured.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from model_store.files import replacing

Plane = NDArray[np.uint8]

VERSION = 2  # of what is drawn; another one is made anew
_NOISE = 2.5  # levels; what a camera leaves after its own denoising


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """A video to be made."""

    name: str
    frames: int = 151
    height: int = 720
    width: int = 1280
    fps: int = 30
    codec: str = "libx264"
    container: str = "mp4"
    bit_rate: int | None = None
    """Bits a second."""
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    seed: int = 0

    def path(self, folder: Path) -> Path:
        return folder / f"{self.name}-v{VERSION}.{self.container}"

    def read(self, folder: Path) -> bytes:
        """The file, made if it is not in the folder."""
        path = self.path(folder)
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                self._write(partial)
        return path.read_bytes()

    def _write(self, path: Path) -> None:
        with av.open(path, "w", format=self.container) as output:
            stream: Any = output.add_stream(self.codec, rate=self.fps, options=self.options)
            stream.height, stream.width, stream.pix_fmt = self.height, self.width, self.pix_fmt
            stream.codec_context.time_base = Fraction(1, self.fps)
            if self.bit_rate is not None:
                stream.bit_rate = self.bit_rate
            for index, planes in enumerate(self._pictures()):
                frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                frame = frame.reformat(format=self.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, self.fps)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))

    def _pictures(self) -> Iterator[Plane]:
        """(H·3/2, W) planes Y U V one below the other, as `yuv420p` arrays are."""
        height, width = self.height, self.width
        random = np.random.default_rng(self.seed)
        texture = _texture(random, 2 * height, 2 * width)
        colour = [_texture(random, height, width) // 4 + 96 for _ in "uv"]
        noise = [random.normal(0, _NOISE, (height, width)).round().astype(np.int16) for _ in "1234"]
        things = [_Thing.drawn(random, height, width) for _ in range(6)]
        for index in range(self.frames):
            time = index / self.fps
            y, x = _pan(time, height, width)
            luma = texture[y : y + height, x : x + width].astype(np.int16)
            chroma = [
                c[y // 2 : y // 2 + height // 2, x // 2 : x // 2 + width // 2] for c in colour
            ]
            for thing in things:
                thing.paint(luma, time)
            luma += np.roll(noise[index % 4], 37 * index, axis=1)
            planes = [luma.clip(16, 235).astype(np.uint8), *chroma]
            yield np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, width)


def repeated(file: bytes, times: int) -> bytes:
    """An MP4 so many times after itself, not encoded again: each frame costs what it cost."""
    output = io.BytesIO()
    with (
        av.open(io.BytesIO(file), "r") as source,
        av.open(output, "w", format="mp4") as target,
    ):
        video = source.streams.video[0]
        packets = [packet for packet in source.demux(video) if packet.size]
        length = sum(packet.duration or 0 for packet in packets)
        stream = target.add_stream_from_template(video)
        for turn in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts = (packet.pts or 0) + turn * length
                again.dts = (packet.dts or 0) + turn * length
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, stream
                target.mux(again)
    return output.getvalue()


@dataclass(frozen=True, slots=True)
class _Thing:
    """A textured rectangle that crosses the picture."""

    pixels: NDArray[np.int16]
    phase: NDArray[np.float64]
    speed: NDArray[np.float64]

    @classmethod
    def drawn(cls, random: np.random.Generator, height: int, width: int) -> "_Thing":
        size = int(height * random.uniform(0.1, 0.25)), int(height * random.uniform(0.05, 0.15))
        pixels = _texture(random, *size).astype(np.int16)
        return cls(pixels, random.uniform(0, 6.28, 2), random.uniform(0.8, 2.5, 2))

    def paint(self, luma: NDArray[np.int16], time: float) -> None:
        h, w = self.pixels.shape
        wave = 0.5 + 0.5 * np.sin(self.phase + self.speed * time)
        y, x = (wave * (luma.shape[0] - h, luma.shape[1] - w)).astype(int)
        luma[y : y + h, x : x + w] = self.pixels


def _texture(random: np.random.Generator, height: int, width: int) -> Plane:
    """Random at scales from 4 to 128 pixels, the coarser the stronger."""
    total = np.zeros((height, width))
    for scale in (4, 8, 16, 32, 64, 128):
        shape = (-(-height // scale), -(-width // scale))
        coarse = random.normal(0, scale**0.5, shape)
        total += coarse.repeat(scale, 0).repeat(scale, 1)[:height, :width]
    total = (
        total + np.roll(total, 2, 0) + np.roll(total, 2, 1) + np.roll(total, (3, 3), (0, 1))
    ) / 4
    levels = 126 + 45 * (total - total.mean()) / total.std()
    return np.asarray(levels.clip(16, 235), np.uint8)


def _pan(time: float, height: int, width: int) -> tuple[int, int]:
    """Even offsets into a texture of twice the size."""
    y = 0.5 + 0.45 * np.sin(0.35 * time)
    x = 0.5 + 0.45 * np.sin(0.55 * time + 1)
    return int(y * height) // 2 * 2, int(x * width) // 2 * 2
