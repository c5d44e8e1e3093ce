"""
OpenVINO on the CPU, in float32: the network is converted once and then read from a cache. PyTorch
is imported for a conversion only.

It is compiled for one clip. A clip on its own gets all threads; several clips run side by side,
each on threads of its own, which then need not wait for one another after every layer: on two cores
a quarter faster than a batch of any size, a tenth faster than one after the other. The threads are
OpenVINO's.
"""

import json
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_store.engines import converted
from model_store.engines.engine import Clips, Floats, Look, in_every_view
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

MODEL, BASELINE = "network.xml", "baseline.json"
MAX_STREAMS = 8  # clips side by side; more cores than that share a clip
COMMON = {
    "INFERENCE_PRECISION_HINT": "f32",  # newer CPUs would get bf16
    "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other containers
}


class OpenVinoRuntime:
    name = "openvino"
    tolerance = 0.01
    uploads_ahead = False

    def __init__(self, stored: StoredNetwork, *, cache: Path | None, threads: int | None) -> None:
        network = load(stored, cache or converted.default_cache())
        self.baseline = network.baseline
        self.shapes = [tuple(output.shape)[1:] for output in network.model.outputs]
        if threads is None:
            threads = compiled(network.model).get_property("INFERENCE_NUM_THREADS")
        self.streams = min(threads, MAX_STREAMS)
        self.queue: Any = None
        self.alone: Any = None
        if self.streams > 1:
            side_by_side = compiled(network.model, streams=self.streams, threads=threads)
            self.queue = ov.AsyncInferQueue(side_by_side, self.streams)
        if math.gcd(self.streams, stored.network_spec.views) == 1:  # else none is ever left over
            self.alone = compiled(network.model, threads=threads).create_infer_request()

    def preparations(self, most: int) -> list[int]:
        return []  # clips are run one by one, whatever the batch

    def prepare(self, size: int) -> None:
        pass

    def upload(self, clip: Clips) -> Clips:
        return clip

    def close(self) -> None:
        pass  # its memory goes with it

    def values(self, clips: Sequence[Clips], looks: Sequence[Look]) -> tuple[Floats, Floats]:
        return self._values(in_every_view(clips, looks))

    def _values(self, clips: Clips) -> tuple[Floats, Floats]:
        features, values = (np.empty((len(clips), *shape), np.float32) for shape in self.shapes)

        def keep(request: Any, index: int) -> None:
            features[index] = request.get_output_tensor(0).data[0]
            values[index] = request.get_output_tensor(1).data[0]

        # A clip is copied to its request, which takes no measurable time: one that shared its
        # memory would keep the whole batch until the next one.
        side_by_side = 0
        if self.queue is not None:  # except for one that would be left over
            side_by_side = len(clips) - (len(clips) % self.streams == 1)
            self.queue.set_callback(keep)
            try:
                for index in range(side_by_side):
                    self.queue.start_async([clips[index : index + 1]], index)
                self.queue.wait_all()
            finally:
                self.queue.set_callback(keep_nothing)
        for index in range(side_by_side, len(clips)):
            self.alone.infer([clips[index : index + 1]])
            keep(self.alone, index)
        return features, values


def compiled(model: Any, *, streams: int = 1, threads: int | None = None) -> Any:
    """By default with one thread a core that OpenVINO sees."""
    options = COMMON | {"NUM_STREAMS": streams}
    if threads is not None:
        options |= {"INFERENCE_NUM_THREADS": threads}
    return ov.Core().compile_model(model, "CPU", options)


def keep_nothing(request: Any, index: int) -> None:
    """The callback between batches."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A network as this engine runs it."""

    model: Any
    """Of one clip -> its features, and the scores of all coalitions."""
    baseline: Floats
    """(O,): what PyTorch gives the empty coalition, points."""

    @classmethod
    def read(cls, folder: Path) -> "Converted":
        """Raises RuntimeError, OSError."""
        baseline = json.loads((folder / BASELINE).read_text())
        return cls(ov.Core().read_model(folder / MODEL), np.array(baseline, np.float32))

    def write(self, folder: Path) -> None:
        """Raises OSError, also where OpenVINO says no more than that its stream has failed."""
        (folder / BASELINE).write_text(json.dumps(self.baseline.tolist()))
        try:
            ov.save_model(self.model, folder / MODEL, compress_to_fp16=False)
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
    from model_store.engines.conversion import convert_clips  # imports PyTorch
    from model_store.engines.parts import Parts, Whole

    parts, spec = Parts.of(stored.network), stored.clip_spec
    return Converted(convert_clips(Whole(parts), (spec.frames, *spec.crop, 3)), parts.baseline)
