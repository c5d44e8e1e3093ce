"""Other ways to run the same network on a CPU, each with all CPUs."""

import io
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.engines.parts import Parts
from model_store.network import FragmentNetwork

Clips = NDArray[np.uint8]
Scores = NDArray[np.float32]
Runtime = Callable[[Clips], Scores]
"""Prepared clips (B, T, H, W, 3) -> scores (B, O)."""


class Plain(nn.Module):
    """Extraction and plain head in one, with normalisation folded."""

    def __init__(self, network: FragmentNetwork) -> None:
        super().__init__()
        parts = Parts.of(network)
        self.extraction, self.head = parts.extraction, parts.plain_head

    def forward(self, clips: Tensor) -> Tensor:
        scores: Tensor = self.head(self.extraction(clips))
        return scores


def torch_eager(network: FragmentNetwork, threads: int) -> Runtime:
    """float32, inference mode, normalisation folded, channels last."""
    torch.set_num_threads(threads)
    plain = Plain(network).eval()
    plain.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @torch.inference_mode()
    def run(clips: Clips) -> Scores:
        scores: Scores = plain(torch.from_numpy(clips)).numpy()
        return scores

    return run


def torch_as_written(network: FragmentNetwork, threads: int) -> Runtime:
    """float32, inference mode, the module as it is."""
    from model_store.clip import cut

    torch.set_num_threads(threads)
    network = network.eval()

    @torch.inference_mode()
    def run(clips: Clips) -> Scores:
        fragments = torch.from_numpy(np.ascontiguousarray(cut(clips, network.clip_spec)))
        scores: Scores = network(fragments).numpy()
        return scores

    return run


def onnx_runtime(network: FragmentNetwork, threads: int, batch: int) -> Runtime:
    """Exported with normalisation folded, all graph optimisations; a fixed batch size."""
    import onnxruntime

    spec = network.clip_spec
    example = torch.zeros(batch, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    file = io.BytesIO()
    torch.onnx.export(Plain(network).eval(), (example,), file, dynamo=False, opset_version=17)
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run(clips: Clips) -> Scores:
        parts = [
            session.run(None, {name: some})[0] for some in np.split(clips, len(clips) // batch)
        ]
        return np.concatenate(parts)

    return run


CONFIGURATIONS = {
    "torch eager": f"torch {torch.__version__} float32, inference mode, all threads: the faster of"
    " the module as written and folded + channels last",
    "ONNX Runtime": "exported folded, all optimisations, intra-op threads = CPUs; eight clips the"
    " faster of one batch and one by one",
}


def described(name: str) -> str:
    found = f"{version('onnxruntime')} " if name == "ONNX Runtime" else ""
    return found + CONFIGURATIONS[name]
