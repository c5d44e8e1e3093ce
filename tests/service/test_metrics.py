import math

import torch

from service.metrics import Metrics


def test_a_gpu_that_cannot_be_asked_takes_no_other_metric_with_it() -> None:
    def busy() -> tuple[int, int]:
        raise torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy")

    metrics = Metrics()
    metrics.watch_device_memory(busy)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    memory = [sample.value for sample in samples if sample.name == "score_gpu_memory_bytes"]
    assert len(memory) == 2
    assert all(map(math.isnan, memory))
    assert any(sample.name == "score_ready" for sample in samples)
