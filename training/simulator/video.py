"""
Frames to an H.264 mp4, the same bytes every time.

With x264's defaults the bytes depend on where buffers happen to lie in memory, even on one thread;
`cpu-independent` takes only the routines that compute alike everywhere.
"""

from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

from model_store.files import replacing
from training.simulator.looks import FPS, Pixels

SAME_BYTES = "threads=1:cpu-independent=1"  # parameters of x264


def write_video(
    path: Path, frames: Pixels, *, fps: Fraction = Fraction(FPS), crf: int = 23
) -> None:
    """(T, H, W, 3) RGB frames to `path`, which appears only when it is whole."""
    height, width = frames.shape[1:3]
    reformatter = VideoReformatter()
    with replacing(path) as partial, av.open(str(partial), mode="w", format="mp4") as container:
        stream = container.add_stream(
            "libx264",
            rate=fps,
            options={
                "crf": str(crf),
                "preset": "veryfast",
                "x264-params": SAME_BYTES,
            },
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture = reformatter.reformat(picture, format="yuv420p", threads=1)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
