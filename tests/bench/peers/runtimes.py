"""
Other ways to run the same network on a CPU, each with all CPUs, behind the same `Engine`.

So every contender does the same work for a clip: its views, the features, the scores of all
coalitions, and the contributions.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.engines import Engine
from model_store.engines.engine import Look, in_every_view
from model_store.engines.parts import Parts, Whole
from model_store.network import FragmentNetwork

Clips = NDArray[np.uint8]
Floats = NDArray[np.float32]


class PeerRuntime:
    """A `model_store.engines.engine.Runtime`."""

    tolerance = 0.01
    uploads_ahead = False

    def __init__(
        self, name: str, baseline: Floats, run: Callable[[Clips], tuple[Floats, Floats]]
    ) -> None:
        self.name, self.baseline, self._run = name, baseline, run

    def preparations(self, most: int) -> list[int]:
        return []

    def prepare(self, size: int) -> None:
        pass

    def upload(self, clip: Clips) -> Clips:
        return clip

    def values(self, clips: Sequence[Clips], looks: Sequence[Look]) -> tuple[Floats, Floats]:
        return self._run(in_every_view(clips, looks))

    def close(self) -> None:
        pass


def torch_eager(network: FragmentNetwork, threads: int) -> Engine:
    """float32, inference mode, normalisation folded, channels last, all clips at once."""
    torch.set_num_threads(threads)
    parts = Parts.of(network)
    whole = Whole(parts).eval()
    parts.extraction.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @torch.inference_mode()
    def values(clips: Clips) -> tuple[Floats, Floats]:
        features, scores = whole(torch.from_numpy(clips))
        return features.numpy(), scores.numpy()

    runtime = PeerRuntime("torch eager", parts.baseline, values)
    return Engine(network.network_spec, network.clip_spec, runtime)


def onnx_runtime(network: FragmentNetwork, threads: int, batch: int) -> Engine:
    """Exported with normalisation folded, all graph optimisations; a fixed batch size."""
    import onnxruntime

    spec, parts = network.clip_spec, Parts.of(network)
    example = torch.zeros(batch, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    file: Any = io.BytesIO()  # its stubs know paths alone
    torch.onnx.export(Whole(parts).eval(), (example,), file, dynamo=False, opset_version=17)
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def values(clips: Clips) -> tuple[Floats, Floats]:
        answers = [session.run(None, {name: some}) for some in np.split(clips, len(clips) // batch)]
        features, scores = zip(*answers, strict=True)
        return np.concatenate(features), np.concatenate(scores)

    runtime = PeerRuntime("ONNX Runtime", parts.baseline, values)
    return Engine(network.network_spec, spec, runtime)


def openvino_alone(module: nn.Module, example: Tensor, threads: int) -> Callable[[], object]:
    """A part of our network on our engine's runtime, with all threads: what runs it once."""
    from model_store.engines.conversion import convert_module
    from model_store.engines.openvino_cpu import compiled

    request = compiled(convert_module(module, example), threads=threads).create_infer_request()
    return partial(request.infer, [example.numpy()])


CONFIGURATIONS = {
    "torch eager": f"torch {torch.__version__} float32, inference mode, all threads, folded: the"
    " faster of the torch engine and all clips at once in channels last",
    "ONNX Runtime": "exported folded, all optimisations, intra-op threads = CPUs; eight clips the"
    " faster of one batch and one by one",
}


def described(name: str) -> str:
    found = f"{version('onnxruntime')} " if name == "ONNX Runtime" else ""
    return found + CONFIGURATIONS[name]
