"""Memory to which a decode worker writes a clip's pixels; the service reads it without a copy."""

import fcntl
import mmap
import os
import tempfile
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec


class ClipMemory:
    """Anonymous memory with room for one clip of a spec; its size is sealed where that works."""

    def __init__(self, spec: ClipSpec) -> None:
        self._shape = spec.frames, spec.height, spec.width, 3
        self._size = spec.frames * spec.height * spec.width * 3
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("clip", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.descriptor, self._size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
        else:
            with tempfile.TemporaryFile() as file:
                file.truncate(self._size)
                self.descriptor = os.dup(file.fileno())

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
