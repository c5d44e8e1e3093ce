"""
Other ways to the same pictures: (T, H, W, 3) uint8 of the spec's size, from a file in memory.

Each is set up as its documentation advises for whole short clips, and gets one thread, as our
decoder has. Those that read files only get one in memory-backed /dev/shm.
"""

import io
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch.nn import functional as F

Decode = Callable[[bytes, Path, tuple[int, int]], Any]
"""Of a file, given as its bytes and as its path, the frames at a size (H, W)."""


def decode_only(file: bytes) -> int:
    """The floor: demux and decode, nothing else."""
    frames = 0
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        for packet in container.demux(stream):
            frames += len(packet.decode())
    return frames


def pyav_torch(file: bytes, path: Path, size: tuple[int, int]) -> Any:
    frames = []
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))  # (H, W, 3)
            small = F.interpolate(
                pixels.permute(2, 0, 1)[None], size, mode="bilinear", antialias=True
            )
            frames.append(small[0].permute(1, 2, 0))
    return torch.stack(frames).numpy()


def decord(file: bytes, path: Path, size: tuple[int, int]) -> Any:
    from decord import VideoReader, cpu

    height, width = size
    reader = VideoReader(io.BytesIO(file), ctx=cpu(0), width=width, height=height, num_threads=1)
    return reader.get_batch(range(len(reader))).asnumpy()


def opencv(file: bytes, path: Path, size: tuple[int, int]) -> Any:
    import cv2

    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    while True:
        there, pixels = capture.read()
        if not there:
            break
        small = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        frames.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    capture.release()
    return np.stack(frames)


def torchcodec(file: bytes, path: Path, size: tuple[int, int]) -> Any:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    decoder = VideoDecoder(
        file,
        dimension_order="NHWC",
        num_ffmpeg_threads=1,
        seek_mode="approximate",
        transforms=[Resize(size)],
    )
    return decoder.get_frames_in_range(0, len(decoder)).data.numpy()


PEERS: dict[str, tuple[str, Decode, str]] = {
    "decord": ("decord", decord, "VideoReader(width, height, num_threads=1), one get_batch"),
    "OpenCV": (
        "opencv-python-headless",
        opencv,
        "FFmpeg backend, CAP_PROP_N_THREADS=1, resize INTER_AREA, then BGR to RGB",
    ),
    "torchcodec": (
        "torchcodec",
        torchcodec,
        "Resize in the decoder, num_ffmpeg_threads=1, approximate seeking, one range",
    ),
    "PyAV + torch": (
        "av",
        pyav_torch,
        "to_ndarray(rgb24), F.interpolate(bilinear, antialias) on uint8 frame by frame",
    ),
}


def described(name: str) -> str:
    package, _, configuration = PEERS[name]
    try:
        return f"{package} {version(package)}: {configuration}"
    except ImportError:
        return f"{package} is not installed"
