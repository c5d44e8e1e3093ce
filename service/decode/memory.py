"""Memory to which a decode worker writes a clip's pixels; the service reads it without a copy."""

import fcntl
import mmap
import os
import tempfile
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec


def anonymous_file(size: int) -> int:
    """A descriptor of that many zero bytes; their number is sealed where that works."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("clip", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())


class ClipMemory:
    """Anonymous memory with room for one clip of a spec."""

    def __init__(self, spec: ClipSpec) -> None:
        self._shape = spec.frames, spec.height, spec.width, 3
        self._size = spec.frames * spec.height * spec.width * 3
        self.descriptor = anonymous_file(self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; the array that `frames` returned stays valid."""
        os.close(self.descriptor)

    def frames(self) -> NDArray[np.uint8]:
        """(T, H, W, 3), read-only and without a copy."""
        shared = mmap.mmap(self.descriptor, self._size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8).reshape(self._shape)


def write_frames(frames: NDArray[np.uint8], descriptor: int) -> None:
    """In the worker: (T, H, W, 3) into the memory, which has room for exactly these."""
    with mmap.mmap(descriptor, frames.nbytes) as shared:
        np.frombuffer(shared, np.uint8)[:] = frames.reshape(-1)
