"""The reference: torch on the CPU in float32."""

from collections.abc import Sequence

import numpy as np
import torch

from model_store.engines.engine import Clips, Floats, Look, in_every_view
from model_store.engines.parts import Parts

MAX_BATCH = 8  # clips at once; larger batches only cost memory


class TorchRuntime:
    """Threads are torch's, one pool for the whole process; `threads` sets its size for all."""

    name = "torch"
    tolerance = 0.01
    uploads_ahead = False

    def __init__(self, parts: Parts, *, threads: int | None) -> None:
        self.parts, self.baseline = parts, parts.baseline
        if threads is not None:
            torch.set_num_threads(threads)

    def preparations(self, most: int) -> list[int]:
        return [most]

    def prepare(self, size: int) -> None:
        spec = self.parts.network.clip_spec
        clip = np.zeros((spec.frames, *spec.crop, 3), np.uint8)
        self.values([clip] * size, [Look(0, False)])

    def upload(self, clip: Clips) -> Clips:
        return clip

    @torch.inference_mode()
    def values(self, clips: Sequence[Clips], looks: Sequence[Look]) -> tuple[Floats, Floats]:
        batches = torch.split(torch.from_numpy(in_every_view(clips, looks)), MAX_BATCH)
        features = torch.cat([self.parts.extraction(batch) for batch in batches])
        values = [self.parts.coalition_head(some) for some in torch.split(features, 1)]
        return features.numpy(), torch.cat(values).numpy()

    def close(self) -> None:
        pass  # its memory goes with it
