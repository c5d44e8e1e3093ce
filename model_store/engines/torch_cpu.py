"""The reference: torch on the CPU in float32."""

import torch

from model_store.engines.engine import Clips, Floats
from model_store.engines.parts import Parts

MAX_BATCH = 8  # clips at once; larger batches only cost memory


class TorchRuntime:
    """Threads are torch's, one pool for the whole process; `threads` sets its size for all."""

    name = "torch"
    tolerance = 0.01

    def __init__(self, parts: Parts, *, threads: int | None) -> None:
        self.parts, self.baseline = parts, parts.baseline
        if threads is not None:
            torch.set_num_threads(threads)

    def batch_sizes(self, most: int) -> list[int]:
        return [most]

    @torch.inference_mode()
    def values(self, clips: Clips) -> tuple[Floats, Floats]:
        batches = torch.split(torch.from_numpy(clips), MAX_BATCH)
        features = torch.cat([self.parts.extraction(batch) for batch in batches])
        values = [self.parts.coalition_head(some) for some in torch.split(features, 1)]
        return features.numpy(), torch.cat(values).numpy()
