"""
OpenVINO on the CPU, in float32: each part of the network is converted from its torch module.

Parts are compiled for one clip. A clip on its own gets all threads; several clips run side by
side, each on threads of its own, which then need not wait for one another after every layer: on
two cores a quarter faster than a batch of any size, a tenth faster than one after the other. The
threads are OpenVINO's; torch is not used after the conversion, so two pools never compete.
"""

import logging
import sys
import warnings
from functools import partial
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

log = logging.getLogger(__name__)

SOURCES = (
    __file__,
    parts.__file__,
    coalition_head.__file__,
    contributions.__file__,
    network.__file__,
)
VERSIONS = [torch.__version__, ov.__version__]

PARTS = ("extraction", "coalition_head")
MAX_STREAMS = 8  # clips side by side; more cores than that share a clip
COMMON = {
    "INFERENCE_PRECISION_HINT": "f32",  # newer CPUs would get bf16
    "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other containers
}


class OpenVinoRuntime:
    name = "openvino"
    tolerance = 0.01

    def __init__(self, parts: Parts, *, cache: Path | None, threads: int | None) -> None:
        self._compile(load(parts, cache or converted.default_cache()), threads)
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
            try:
                for index in range(side_by_side):
                    self.queue.start_async([clips[index : index + 1]], index)
                self.queue.wait_all()
            finally:
                self.queue.set_callback(keep_nothing)
        for index in range(side_by_side, len(clips)):
            features[index] = infer(self.extraction, clips[index : index + 1])
        return features


def keep_nothing(request: Any, index: int) -> None:
    """The callback between batches."""


def infer(request: Any, clip: Clips | Floats) -> Floats:
    """The output for one clip (1, …) -> (…); valid until the next call.

    The clip is copied, which takes no measurable time: a request that shared its memory would keep
    the whole batch until the next one.
    """
    request.infer([clip])
    output: Floats = request.get_output_tensor().data[0]
    return output


def load(parts: Parts, cache: Path | None) -> dict[str, Any]:
    """The converted parts by name, from the cache if it has them; otherwise they are put there."""
    if cache is None:
        return convert(parts)
    key = converted.key_of(parts.network, sources=SOURCES, versions=VERSIONS)
    folder = converted.find(cache, key)
    if folder is not None:
        try:
            return read(folder)
        except RuntimeError as error:  # somebody has emptied the cache meanwhile, for example
            log.warning("the converted network in %s cannot be read: %s", folder, error)
    models = convert(parts)
    converted.keep(cache, key, partial(write, models))
    return models


def read(folder: Path) -> dict[str, Any]:
    core = ov.Core()
    return {name: core.read_model(folder / f"{name}.xml") for name in PARTS}


def write(models: dict[str, Any], folder: Path) -> None:
    """Raises OSError, also where OpenVINO says no more than that its stream has failed."""
    try:
        for name, model in models.items():
            ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
        read(folder)  # what was cut off without an error must not get a manifest
    except RuntimeError as error:
        raise OSError(f"OpenVINO cannot write it, the disk may be full: {error}") from error


def convert(parts: Parts) -> dict[str, Any]:
    spec = parts.network.clip_spec
    clip = torch.zeros(1, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    features = torch.zeros(1, *parts.coalition_head.blank.shape)
    models = convert_module(parts.extraction, clip), convert_module(parts.coalition_head, features)
    return dict(zip(PARTS, models, strict=True))


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
