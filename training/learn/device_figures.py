"""Figures of a step that are read when its device has them, so that the host need not wait."""

from collections.abc import Mapping

import torch
from torch import Tensor

STEPS_QUEUED = {"cpu": 0, "cuda": 1}  # whose figures may be unread when the next one begins


class DeviceFigures:
    """Scalars by name, on their way to the CPU from the moment at which this is made."""

    def __init__(self, figures: Mapping[str, Tensor]) -> None:
        self._names = tuple(figures)
        values = torch.stack([value.detach() for value in figures.values()])
        self._values = values.to("cpu", non_blocking=True)
        self._copied = torch.cuda.Event() if values.is_cuda else None
        if self._copied is not None:
            self._copied.record()

    def read(self) -> dict[str, float]:
        """What `item` gives of each."""
        if self._copied is not None:
            self._copied.synchronize()
        return dict(zip(self._names, self._values.tolist(), strict=True))
