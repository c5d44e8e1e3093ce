"""
OpenVINO on the CPU, in float32: each part of the network is converted from its torch module.

Parts are compiled for one clip. A clip on its own gets all threads; several clips run side by
side, each on threads of its own, which then need not wait for one another after every layer: on
two cores a quarter faster than a batch of any size, a tenth faster than one after the other. The
threads are OpenVINO's; torch is not used after the conversion, so two pools never compete.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_store import coalition_head, contributions, network
from model_store.engines import converted, parts
from model_store.engines.engine import Clips, Floats
from model_store.engines.parts import Parts
from model_store.errors import EngineError

# Importing and converting report to Google Analytics wherever this package can be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

try:
    import openvino as ov
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
except ImportError as error:
    raise EngineError(f"OpenVINO cannot be imported: {error}") from error

SOURCES = (
    __file__,
    parts.__file__,
    coalition_head.__file__,
    contributions.__file__,
    network.__file__,
)
VERSIONS = [torch.__version__, ov.__version__]

MAX_STREAMS = 8  # clips side by side; more cores than that share a clip
COMMON = {
    "INFERENCE_PRECISION_HINT": "f32",  # newer CPUs would get bf16
    "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other containers
}


class OpenVinoRuntime:
    name = "openvino"
    tolerance = 0.01

    def __init__(self, parts: Parts, *, cache: Path | None, threads: int | None) -> None:
        try:
            models = load(parts, cache or converted.default_cache())
            self._compile(models, threads)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot convert or compile the network: {error}") from error
        self.feature_shape = tuple(parts.coalition_head.blank.shape)
        self.coalitions, self.outputs = len(parts.coalitions.shown), len(parts.baseline)

    def _compile(self, models: dict[str, Any], threads: int | None) -> None:
        core = ov.Core()
        one_at_a_time = COMMON | {"NUM_STREAMS": 1}
        if threads is not None:
            one_at_a_time |= {"INFERENCE_NUM_THREADS": threads}
        requests = {}
        for name, model in models.items():
            compiled = core.compile_model(model, "CPU", one_at_a_time)
            requests[name] = compiled.create_infer_request()
            self.threads: int = compiled.get_property("INFERENCE_NUM_THREADS")
        self.extraction = requests["extraction"]
        self.coalition_head = requests["coalition_head"]
        self.streams = min(self.threads, MAX_STREAMS)
        self.queue = None
        if self.streams > 1:
            side_by_side = COMMON | {
                "NUM_STREAMS": self.streams,
                "INFERENCE_NUM_THREADS": self.threads,
            }
            compiled = core.compile_model(models["extraction"], "CPU", side_by_side)
            self.queue = ov.AsyncInferQueue(compiled, self.streams)

    def batch_sizes(self, most: int) -> list[int]:
        return [1, most]

    def values(self, clips: Clips) -> tuple[Floats, Floats]:
        features = self._features(clips)
        values = np.empty((len(clips), self.coalitions, self.outputs), np.float32)
        for index in range(len(clips)):
            values[index] = infer(self.coalition_head, features[index : index + 1])
        return features, values

    def _features(self, clips: Clips) -> Floats:
        features = np.empty((len(clips), *self.feature_shape), np.float32)
        side_by_side = 0
        if self.queue is not None:  # except for one that would be left over
            side_by_side = len(clips) - (len(clips) % self.streams == 1)

            def keep(request: Any, index: int) -> None:
                features[index] = request.get_output_tensor().data[0]

            self.queue.set_callback(keep)
            for index in range(side_by_side):
                self.queue.start_async([clips[index : index + 1]], index, share_inputs=True)
            self.queue.wait_all()
        for index in range(side_by_side, len(clips)):
            features[index] = infer(self.extraction, clips[index : index + 1])
        return features


def infer(request: Any, clip: Clips | Floats) -> Floats:
    """The output for one clip (1, …) -> (…); valid until the next call."""
    request.infer([clip], share_inputs=True)
    output: Floats = request.get_output_tensor().data[0]
    return output


def load(parts: Parts, cache: Path | None) -> dict[str, Any]:
    """The converted parts by name, from the cache if there is one."""
    if cache is not None:
        key = converted.key_of(parts.network, sources=SOURCES, versions=VERSIONS)
        folder = converted.entry(cache, key, lambda folder: write(convert(parts), folder))
        if folder is not None:
            core = ov.Core()
            return {path.stem: core.read_model(path) for path in sorted(folder.glob("*.xml"))}
    return convert(parts)


def write(models: dict[str, Any], folder: Path) -> None:
    for name, model in models.items():
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


def convert(parts: Parts) -> dict[str, Any]:
    spec = parts.network.clip_spec
    clip = torch.zeros(1, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    features = torch.zeros(1, *parts.coalition_head.blank.shape)
    return {
        "extraction": convert_module(parts.extraction, clip),
        "coalition_head": convert_module(parts.coalition_head, features),
    }


def convert_module(module: nn.Module, example: Tensor) -> Any:
    """An OpenVINO model for inputs of exactly this shape.

    Not `openvino.convert_model`, which reports to Google Analytics and configures the root logger.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between torch and OpenVINO
        program = torch.export.export(module.eval(), (example,)).run_decompositions()
        decoder = TorchFXPythonDecoder(program.module(), dynamic_shapes=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))
