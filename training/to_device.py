"""Moves tensors to the device of a run without making the host wait for it."""

from torch import Tensor


def to_device(values: Tensor, kind: str) -> Tensor:
    """The tensor on the device `kind`, "cpu" or "cuda"; itself where it is there already.

    From ordinary memory the copy to a GPU would wait for all that the GPU has still to do; from
    pinned memory it is queued behind that.
    """
    if values.device.type == kind:
        return values
    return values.pin_memory().to(kind, non_blocking=True)
