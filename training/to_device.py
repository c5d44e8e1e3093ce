"""Moves tensors to the device of a run without making the host wait for it."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device of the run; itself where it is there already.

    From ordinary memory the copy to a GPU would wait for all that the GPU has still to do; from
    pinned memory it is queued behind that.
    """
    if values.device.type == torch.device(device).type:
        return values
    return values.pin_memory().to(device, non_blocking=True)
