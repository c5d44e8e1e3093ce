"""
The decode worker: a process that turns one uploaded file after another into prepared clips.

Here strangers' bytes reach FFmpeg, so the process may do little and may die at any time. It
receives open files over a socket, opens none by name, and answers in JSON, see `messages`. It
loads neither torch nor pydantic.
"""

import base64
import ctypes
import gc
import importlib
import io
import os
import pkgutil
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray

from model_store.clip import ClipLimits, PreparedClip, prepare_clip, read_clip
from model_store.errors import ClipError, ClipTooLarge, RequestError, UnusableClip
from model_store.finding.finder import FOUND_ACTIONS, finder_of
from model_store.spec import DIVING, ClipSpec
from service.decode import messages
from service.decode.landlock import refuse_by_landlock
from service.decode.memory import ClipMemory, anonymous_file, write_frames
from service.decode.seccomp import refuse_system_calls
from service.machine import give_memory_back

_OPEN_FILES = 32
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_TELLING = 0.1  # of the processor time of a short clip: from here on it shows what the clip takes
_PROGRESS_S = 0.05  # between two messages of progress
_JPEG_QUALITY = 3  # mjpeg's qscale, 2 (best) to 31


def main() -> None:
    descriptor, service, memory_bytes, niceness = map(int, sys.argv[1:])
    connection = socket.socket(fileno=descriptor)
    os.nice(niceness)
    load_lazy_modules()
    spec = DIVING.with_size((16, 16), (16, 16))
    clip = small_clip(spec.frames + spec.fragment_length)  # longer: there is something to find
    file = anonymous_file(len(clip))
    os.write(file, clip)
    with ClipMemory(spec) as pixels:
        filtered = confine(service, memory_bytes)
        check_decoding(spec, file, pixels.descriptor, connection)
    os.close(file)
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked at after each clip
    connection.sendall(messages.packed(messages.Ready(filtered)))
    while (received := receive(connection)) is not None:
        job, upload, memory = received
        connection.sendall(messages.packed(messages.Taken()))
        try:
            limit_processor_time(job.cpu_s)
            answer = perform(job, upload, memory, Watch(job, connection))
        finally:
            os.close(upload)
            os.close(memory)
        give_memory_back()
        connection.sendall(messages.packed(answer))


def load_lazy_modules() -> None:
    """Load what av, numpy and the finders would load only on demand: no file can be opened then."""
    importlib.import_module("numpy.ma")  # for np.quantile
    for action in FOUND_ACTIONS:
        finder_of(action)
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def confine(service: int, memory_bytes: int) -> bool:
    """Give up for good what decoding does not need, and end when the process of the service does.

    False where there is no seccomp filter.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_PDEATHSIG, signal.SIGKILL)):
            if libc.prctl(option, value, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"prctl {option}")
        if os.getppid() != service:
            sys.exit("the service ended before its worker was ready")
    refuse_by_landlock()
    return refuse_system_calls()


def small_clip(frames: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(frames):
            frame = av.VideoFrame(16, 16, "yuv420p")
            luma, *_ = frame.planes
            luma.update(bytes([16 + 7 * number % 220]) * luma.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def check_decoding(spec: ClipSpec, upload: int, memory: int, connection: socket.socket) -> None:
    """A worker that is confined too much must not become ready.   Raises RuntimeError."""
    job = messages.DecodeJob(
        spec=spec, limits=ClipLimits(), sha256="none", find=True, wants_fragment_jpegs=True
    )
    answer = perform(job, upload, memory, Watch(job, connection))
    if isinstance(answer, messages.Refused):
        raise RuntimeError(
            "no clip can be decoded by the system calls that decode/seccomp.py allows;"
            f" strace shows which one is refused\n{answer.traceback or answer.detail}"
        )
    give_memory_back()


class Watch:
    """Called after each packet that was decoded: progress, and reasons to stop."""

    def __init__(self, job: messages.DecodeJob, connection: socket.socket) -> None:
        self._job, self._connection = job, connection
        self._began = self._pass_began = time.process_time()
        self._last = -_PROGRESS_S

    def __call__(self, done: int, of: int) -> None:
        """Raises Stopped, TakesLonger."""
        if stop_is_asked(self._connection):
            raise messages.Stopped
        if self._job.short_s is not None:
            self._check_cost(self._job.short_s, done, of)
        now = time.monotonic()
        if self._job.wants_progress and (done == of or now - self._last >= _PROGRESS_S):
            self._last = now
            self._connection.sendall(messages.packed(messages.DecodeProgress(done, of)))

    def _check_cost(self, short_s: float, done: int, of: int) -> None:
        """Of what was used, and what the rest of this pass over the packets will take."""
        now = time.process_time()
        if done == 1:
            self._pass_began = now
        this_pass = now - self._pass_began
        expected = this_pass * of / done if this_pass > _TELLING * short_s else this_pass
        if self._pass_began - self._began + expected > short_s:
            raise messages.TakesLonger


def stop_is_asked(connection: socket.socket) -> bool:
    """Also when the service is gone."""
    try:
        connection.recv(len(messages.STOP), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def limit_processor_time(cpu_s: int) -> None:
    """From now on; the system ends the process with SIGXCPU when it has used it up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + cpu_s + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def perform(
    job: messages.DecodeJob, upload: int, memory: int, on_frame: Callable[[int, int], None]
) -> messages.Answer:
    """Decode one upload; its pixels go to `memory`."""
    spec = job.spec
    try:
        with open(upload, "rb", buffering=0, closefd=False) as file:
            decoded = read_clip(
                file,
                spec,
                limits=job.limits,
                start_s=job.start_s,
                end_s=job.end_s,
                find=job.find,
                sha256=job.sha256,
                on_frame=on_frame,
            )
        clip = prepare_clip(decoded, spec)
        write_frames(clip.frames, memory)
    except (ClipError, RequestError, messages.Stopped, messages.TakesLonger) as error:
        return messages.Refused(type(error).__name__, str(error))
    except MemoryError:
        return messages.Refused(ClipTooLarge.__name__, "decoding needs too much memory")
    except Exception:  # a file that trips a library in a way nobody knew is still just a bad file
        text = "the file cannot be decoded"
        return messages.Refused(UnusableClip.__name__, text, traceback.format_exc())
    times = [None if np.isnan(time) else float(time) for time in clip.times]
    jpegs = fragment_jpegs(clip, spec) if job.wants_fragment_jpegs else None
    return messages.Decoded(clip.info, clip.warnings, times, jpegs, clip.found)


def fragment_jpegs(clip: PreparedClip, spec: ClipSpec) -> list[str | None]:
    """For each fragment a JPEG of its middle frame, as scored, in base64; None if it is blank."""
    jpegs: list[str | None] = []
    for index in range(spec.fragments):
        seen = [frame for frame in spec.fragment_frames(index) if not np.isnan(clip.times[frame])]
        if not seen:
            jpegs.append(None)
            continue
        pixels = clip.frames[seen[len(seen) // 2]]
        if spec.colour_order == "bgr":
            pixels = pixels[..., ::-1]
        jpegs.append(base64.b64encode(jpeg(pixels)).decode())
    return jpegs


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt = "yuvj444p"
    encoder.time_base = 1  # type: ignore[assignment]  # an int is a rational
    encoder.qmin = encoder.qmax = _JPEG_QUALITY
    encoder.thread_count = 1
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None)))


def receive(connection: socket.socket) -> tuple[messages.DecodeJob, int, int] | None:
    """The next job, with the upload and the memory for its pixels; None when there is no more."""
    head, descriptors, _, _ = socket.recv_fds(connection, messages.LENGTH.size, 2)
    if not head:
        return None
    (size,) = messages.LENGTH.unpack(head)
    if not size:
        return receive(connection)  # STOP came too late
    job = messages.DecodeJob.unpacked(connection.recv(size, socket.MSG_WAITALL))
    upload, memory = descriptors
    return job, upload, memory


if __name__ == "__main__":
    main()
