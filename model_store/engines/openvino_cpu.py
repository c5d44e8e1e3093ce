"""
OpenVINO on the CPU, in float32: both parts of the network, converted once and then read from a
cache. PyTorch is imported for a conversion only.

Parts are compiled for one clip. A clip on its own gets all threads; several clips run side by
side, each on threads of its own, which then need not wait for one another after every layer: on
two cores a quarter faster than a batch of any size, a tenth faster than one after the other. The
threads are OpenVINO's.
"""

import json
import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_store.engines import converted
from model_store.engines.engine import Clips, Floats
from model_store.errors import EngineError
from model_store.stored_network import StoredNetwork

# Importing and converting report to Google Analytics wherever this package can be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

try:
    import openvino as ov
except ImportError as error:
    raise EngineError(f"OpenVINO cannot be imported: {error}") from error

log = logging.getLogger(__name__)

SOURCES = (
    "engines/openvino_cpu.py",
    "engines/conversion.py",
    "engines/parts.py",
    "coalition_head.py",
    "contributions.py",
    "network.py",
)

PARTS = ("extraction", "coalition_head")
BASELINE = "baseline.json"
MAX_STREAMS = 8  # clips side by side; more cores than that share a clip
COMMON = {
    "INFERENCE_PRECISION_HINT": "f32",  # newer CPUs would get bf16
    "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other containers
}


class OpenVinoRuntime:
    name = "openvino"
    tolerance = 0.01

    def __init__(self, stored: StoredNetwork, *, cache: Path | None, threads: int | None) -> None:
        network = load(stored, cache or converted.default_cache())
        self.baseline = network.baseline
        features, values = (network.models[name].output(0).shape for name in PARTS)
        self.feature_shape = tuple(features)[1:]
        self.value_shape = tuple(values)[1:]
        self._compile(network.models, threads, stored.network_spec.views)

    def _compile(self, models: dict[str, Any], threads: int | None, views: int) -> None:
        core = ov.Core()
        one_at_a_time = COMMON | {"NUM_STREAMS": 1}
        if threads is not None:
            one_at_a_time |= {"INFERENCE_NUM_THREADS": threads}
        compiled = core.compile_model(models["coalition_head"], "CPU", one_at_a_time)
        self.coalition_head = compiled.create_infer_request()
        self.threads: int = compiled.get_property("INFERENCE_NUM_THREADS")
        self.streams = min(self.threads, MAX_STREAMS)
        self.queue = None
        if self.streams > 1:
            side_by_side = COMMON | {
                "NUM_STREAMS": self.streams,
                "INFERENCE_NUM_THREADS": self.threads,
            }
            compiled = core.compile_model(models["extraction"], "CPU", side_by_side)
            self.queue = ov.AsyncInferQueue(compiled, self.streams)
        if math.gcd(self.streams, views) == 1:  # else there is never one left over
            compiled = core.compile_model(models["extraction"], "CPU", one_at_a_time)
            self.extraction = compiled.create_infer_request()

    def batch_sizes(self, most: int) -> list[int]:
        return []  # clips are run one by one, whatever the batch

    def values(self, clips: Clips) -> tuple[Floats, Floats]:
        features = self._features(clips)
        values = np.empty((len(clips), *self.value_shape), np.float32)
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


@dataclass(frozen=True, slots=True)
class Converted:
    """A network as this engine runs it."""

    models: dict[str, Any]
    """The parts, by name."""
    baseline: Floats
    """(O,): what PyTorch gives the empty coalition, points."""

    @classmethod
    def read(cls, folder: Path) -> "Converted":
        """Raises RuntimeError, OSError."""
        core = ov.Core()
        models = {name: core.read_model(folder / f"{name}.xml") for name in PARTS}
        baseline = json.loads((folder / BASELINE).read_text())
        return cls(models, np.array(baseline, np.float32))

    def write(self, folder: Path) -> None:
        """Raises OSError, also where OpenVINO says no more than that its stream has failed."""
        (folder / BASELINE).write_text(json.dumps(self.baseline.tolist()))
        try:
            for name, model in self.models.items():
                ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
            Converted.read(folder)  # what was cut off without an error must not get a manifest
        except RuntimeError as error:
            raise OSError(f"OpenVINO cannot write it, the disk may be full: {error}") from error


def load(stored: StoredNetwork, cache: Path | None) -> Converted:
    """From the cache if it has it; otherwise the network is converted, and put there."""
    if cache is None:
        return convert(stored)
    key = converted.key_of(stored, code=SOURCES, libraries=("torch", "openvino"))
    folder = converted.find(cache, key)
    if folder is not None:
        try:
            return Converted.read(folder)
        except (RuntimeError, OSError) as error:  # somebody has emptied the cache, for example
            log.warning("the converted network in %s cannot be read: %s", folder, error)
    network = convert(stored)
    converted.keep(cache, key, network.write)
    return network


def convert(stored: StoredNetwork) -> Converted:
    """Raises CheckpointIncompatible if the weights are not of such a network."""
    from model_store.engines.conversion import models_of  # imports PyTorch
    from model_store.engines.parts import Parts

    parts = Parts.of(stored.network)
    return Converted(models_of(parts), parts.baseline)
