"""
The decode worker: a process that turns one uploaded file after another into prepared clips.

Here strangers' bytes meet FFmpeg, so the process can do little and may die at any time. It gets
open files over a socket (the upload, and memory for the pixels), opens none by name, and answers
in JSON: nothing that it says is ever executed.

    ready     {"filtered"}: whether system calls are refused here, see `syscalls`
    job       {"spec", "limits", "sha256", "start_s", "end_s", "pictures", "progress", "cpu_s"}
              + two file descriptors
    taken     {}
    progress  {"done", "of"}, in frames, any number of times for a job with "progress"
    answer    {"info", "warnings", "times", "pictures"} or {"error", "detail"} or {"traceback"}

Each message is preceded by its length, four bytes. Torch is never imported.
"""

import base64
import ctypes
import dataclasses
import importlib
import io
import json
import mmap
import os
import pkgutil
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from model_store.clip import ClipLimits, PreparedClip, prepare_clip, read_clip
from model_store.errors import ClipError, ClipTooLarge, RequestError
from model_store.spec import DIVING, ClipSpec
from service.decode.seccomp import refuse_system_calls

LENGTH = struct.Struct("!I")
_OPEN_FILES = 32
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_PROGRESS_S = 0.05  # between two messages of progress
_JPEG_QUALITY = 3  # mjpeg's qscale, 2 (best) to 31


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    load_lazy_modules()
    filtered = confine(memory_bytes=int(sys.argv[2]))
    rehearse()
    send(connection, {"filtered": filtered})  # ready
    while (received := receive(connection)) is not None:
        job, (upload, memory) = received
        send(connection, {})  # taken: from here on, dying is the clip's fault
        try:
            tell = progress_to(connection) if job["progress"] else None
            answer = perform(job, upload, memory, tell)
        finally:
            os.close(upload)
            os.close(memory)
        send(connection, answer)


def load_lazy_modules() -> None:
    """Modules that av and numpy would import when they need them: no file can be opened then."""
    importlib.import_module("numpy.ma")  # for np.quantile
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def confine(memory_bytes: int) -> bool:
    """Give up what decoding does not need, which cannot be undone; whether all of it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the service
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_PDEATHSIG, signal.SIGKILL)):
            if libc.prctl(option, value, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"prctl {option}")
    return refuse_system_calls()


def rehearse() -> None:
    """Read a small clip and encode a picture: confined too much, a worker must not be ready."""
    spec = DIVING.with_size((16, 16), (16, 16))
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for number in range(2 * spec.fragment_length):  # codecs make some of them alike
            frame = av.VideoFrame(16, 16, "yuv420p")
            luma, *_ = frame.planes
            luma.update(bytes([16 + 7 * number]) * luma.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    fragment_pictures(prepare_clip(read_clip(file, spec), spec), spec)


def progress_to(connection: socket.socket) -> Callable[[int, int], None]:
    """Tells of frames decoded, not too often."""
    told = -_PROGRESS_S

    def tell(done: int, of: int) -> None:
        nonlocal told
        if done == of or time.monotonic() - told >= _PROGRESS_S:
            told = time.monotonic()
            send(connection, {"done": done, "of": of})

    return tell


def perform(
    job: dict[str, Any], upload: int, memory: int, tell: Callable[[int, int], None] | None
) -> dict[str, Any]:
    """Decode one upload into `memory`, which has room for exactly the spec's (T, H, W, 3)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + job["cpu_s"] + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    spec = ClipSpec.from_json(job["spec"])
    try:
        with open(upload, "rb", buffering=0, closefd=False) as file:
            decoded = read_clip(
                file,
                spec,
                limits=ClipLimits(**job["limits"]),
                start_s=job["start_s"],
                end_s=job["end_s"],
                sha256=job["sha256"],
                on_frame=tell,
            )
        clip = prepare_clip(decoded, spec)
        write_frames(clip.frames, memory)
    except (ClipError, RequestError) as error:
        return {"error": type(error).__name__, "detail": str(error)}
    except MemoryError:
        return {"error": ClipTooLarge.__name__, "detail": "decoding needs too much memory"}
    except Exception:  # a file that trips a library in a way nobody knew is still just a bad file
        return {"traceback": traceback.format_exc()}
    return {
        "info": dataclasses.asdict(clip.info),
        "warnings": [str(warning) for warning in clip.warnings],
        "times": [None if np.isnan(time) else float(time) for time in clip.times],
        "pictures": fragment_pictures(clip, spec) if job["pictures"] else None,
    }


def write_frames(frames: NDArray[np.uint8], memory: int) -> None:
    with mmap.mmap(memory, frames.nbytes) as shared:
        np.frombuffer(shared, np.uint8)[:] = frames.reshape(-1)


def fragment_pictures(clip: PreparedClip, spec: ClipSpec) -> list[str | None]:
    """For each fragment its middle frame as the network sees it, JPEG in base64; None if blank."""
    pictures: list[str | None] = []
    for index in range(spec.fragments):
        seen = [frame for frame in spec.fragment_frames(index) if not np.isnan(clip.times[frame])]
        if not seen:
            pictures.append(None)
            continue
        pixels = clip.frames[seen[len(seen) // 2]]
        if spec.colour_order == "bgr":
            pixels = pixels[..., ::-1]
        pictures.append(base64.b64encode(jpeg(pixels)).decode())
    return pictures


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt = "yuvj444p"
    encoder.time_base = 1  # type: ignore[assignment]  # an int is a rational
    encoder.qmin = encoder.qmax = _JPEG_QUALITY
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None)))


def send(connection: socket.socket, answer: dict[str, Any]) -> None:
    content = json.dumps(answer).encode()
    connection.sendall(LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> tuple[dict[str, Any], tuple[int, int]] | None:
    """The next job, with the upload and the memory for its pixels; None when there is no more."""
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 2)
    if not head:
        return None
    (size,) = LENGTH.unpack(head)
    content = connection.recv(size, socket.MSG_WAITALL)
    upload, memory = descriptors
    return json.loads(content), (upload, memory)


if __name__ == "__main__":
    main()
