"""
A clip whose frames are JPEG files, as many data sets are published.

The rule: JPEG files have no times, so whoever names the files states their rate; and they are read
like every other video: unchanged, one packet each, they are put into a container in memory, which
is then read like an upload.
"""

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from model_store.errors import NotAVideo, UnusableClip

_JPEG = b"\xff\xd8"
_UNIT = Fraction(1, 90_000)  # seconds; 24, 25, 30, 30000/1001 and 24/5 are whole numbers of it


@dataclass(frozen=True, slots=True)
class FrameFiles:
    """JPEG files in the order in which they are shown, `fps` of them a second."""

    paths: tuple[Path, ...]
    fps: Fraction

    def __str__(self) -> str:
        if not self.paths:
            return "no frames"
        return f"{self.paths[0]}…{self.paths[-1].name}"

    def video(self) -> bytes:
        """A Motion JPEG file of the same frames; the same files give the same bytes.

        Raises NotAVideo for a file that is missing or no JPEG, UnusableClip for no files at all.
        """
        if not self.paths:
            raise UnusableClip("0 frames, need JPEG files")
        frames = [_read(path) for path in self.paths]
        height, width = _size(frames[0], self.paths[0])
        file = io.BytesIO()
        with av.open(file, "w", format="mov", container_options={"fflags": "+bitexact"}) as output:
            stream = output.add_mux_stream("mjpeg", rate=self.fps, width=width, height=height)
            for number, frame in enumerate(frames):
                packet = av.Packet(frame)
                packet.stream, packet.time_base = stream, _UNIT
                packet.pts = packet.dts = round(number / self.fps / _UNIT)
                packet.duration = round(1 / self.fps / _UNIT)
                packet.is_keyframe = True
                output.mux(packet)
        return file.getvalue()


def _read(path: Path) -> bytes:
    try:
        frame = path.read_bytes()
    except OSError as error:
        raise NotAVideo(f"frame {path.name} cannot be read") from error
    if not frame.startswith(_JPEG):
        raise NotAVideo(f"frame {path.name} is not a JPEG file")
    return frame


def _size(frame: bytes, path: Path) -> tuple[int, int]:
    """(height, width)"""
    try:
        [decoded] = av.CodecContext.create("mjpeg", "r").decode(av.Packet(frame))
    except (av.FFmpegError, ValueError) as error:
        raise NotAVideo(f"frame {path.name} is not a JPEG file that decodes") from error
    return decoded.height, decoded.width
