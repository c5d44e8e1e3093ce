"""
Whether there is an NVIDIA GPU that PyTorch can use.

The rule: where there is no driver PyTorch is not even imported, which takes seconds and 200 MB.
"""

import contextlib
import ctypes
import os
from pathlib import Path

from model_store.errors import EngineError, EngineMissing

DEVICES = Path("/dev")
DRIVER = "libcuda.so.1"


def is_available() -> bool:
    if not _has_driver():
        return False
    try:
        import torch
    except (ImportError, OSError):  # `why_not` meets the same, where its reason is wanted
        return False
    return torch.cuda.is_available()


def why_not() -> EngineError:
    """Why it is not available: a fault only where this process is given a GPU."""
    gpus = sorted(path.name for path in DEVICES.glob("nvidia[0-9]*"))
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not gpus:
        return EngineMissing("there is no CUDA device")
    import torch

    if torch.version.cuda is None:
        return EngineError(f"this torch is built without CUDA, and there is a GPU: {gpus}")
    return EngineError(f"CUDA finds no device, and there is a GPU: {gpus}; is its driver too old?")


def give_memory_back() -> None:
    """What PyTorch keeps of a GPU's memory for later, where nothing will be run there."""
    import torch

    with contextlib.suppress(RuntimeError):  # nor does it matter on a GPU that is lost
        torch.cuda.empty_cache()


def _has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True
