"""Memory that a decode worker writes a clip's pixels to, and that is read here without a copy."""

import fcntl
import mmap
import os
import tempfile
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec


class ClipMemory:
    """Memory without a name that a worker may write to; its size is sealed where that works."""

    def __init__(self, size: int) -> None:
        self.size = size
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("clip", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.descriptor, size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
        else:
            with tempfile.TemporaryFile() as file:
                file.truncate(size)
                self.descriptor = os.dup(file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; what `frames` gave stays."""
        os.close(self.descriptor)

    def frames(self, spec: ClipSpec) -> NDArray[np.uint8]:
        """(T, H, W, 3), read-only and without a copy."""
        shared = mmap.mmap(self.descriptor, self.size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8).reshape(spec.frames, spec.height, spec.width, 3)
