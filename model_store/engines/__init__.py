"""
Engines: prepared clips in, features, scores and contributions out; one interface, three ways.

    openvino   on the CPU, converted from the torch module: what a machine without a GPU serves with
    cuda       torch on an NVIDIA GPU, half precision
    torch      torch on the CPU, float32: the reference that the others are held against

The rule: all agree. float32 engines within 0.01 points of the reference, half precision within
0.25; a batch gives every clip what the clip gets alone, within the same. An engine belongs to one
thread at a time, any one.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from model_store.engines import gpu
from model_store.engines.engine import Clips, Engine, EngineOutput, Runtime, Upload
from model_store.errors import EngineError, EngineMissing, ModelStoreError
from model_store.stored_network import StoredNetwork

if TYPE_CHECKING:
    from model_store.network import FragmentNetwork

__all__ = ["Engine", "EngineName", "EngineOutput", "Upload", "make_engine"]

EngineName = Literal["auto", "torch", "openvino", "cuda"]
AUTO = ("cuda", "openvino", "torch")  # the first that works

log = logging.getLogger(__name__)


def make_engine(
    network: "StoredNetwork | FragmentNetwork",
    *,
    name: EngineName = "auto",
    cache: Path | None = None,
    threads: int | None = None,
    example: Callable[[], Clips] | None = None,
) -> Engine:
    """An engine that runs `network`, tried on a blank clip. "auto" takes the first that works.

    An engine that "auto" passes over is a warning in the log and `fell_back` of the one that it
    takes, unless the machine has nothing for it to run on: without a GPU nobody expects cuda.
    `cache` is a folder for converted networks (openvino), by default SCORING_CACHE or the user's
    cache folder. `threads` is for the CPU, by default one a core that the library sees: give it
    in a container, where that is not what the process may use. openvino has a pool of its own,
    torch one for the whole process, whose size is then set for everybody. `example` returns a
    prepared clip of the kind that the network is for: cuda chooses its half precision by it.
    Raises EngineError with the reason if it cannot run here.
    """
    if name not in get_args(EngineName):
        raise EngineError(f"engine is {name!r}, need one of {get_args(EngineName)}")
    stored = network if isinstance(network, StoredNetwork) else StoredNetwork.of(network)
    if name != "auto":
        return _working(name, stored, cache, threads, example)
    failed: dict[str, str] = {}  # texts: an error keeps the frames of its calls, and they tensors
    for choice in AUTO:
        try:
            engine = _working(choice, stored, cache, threads, example)
        except EngineMissing as error:
            log.info("engine %s is not used: %s", choice, error)
        except EngineError as error:
            failed[choice] = str(error)
        else:
            if "cuda" in failed:
                gpu.give_memory_back()
            for slower, reason in failed.items():
                log.warning(
                    "engine %s has failed, %s is used, which is slower: %s", slower, choice, reason
                )
            engine.fell_back = bool(failed)
            return engine
    raise EngineError("no engine works here: " + "; ".join(f"{n}: {e}" for n, e in failed.items()))


def _working(
    name: str,
    stored: StoredNetwork,
    cache: Path | None,
    threads: int | None,
    example: Callable[[], Clips] | None,
) -> Engine:
    try:
        runtime = _runtime(name, stored, cache, threads, example)
        engine = Engine(stored.network_spec, stored.clip_spec, runtime)
        engine.check()
    except ModelStoreError:
        raise
    except Exception as error:  # of a library, a driver or a device: they share no class
        raise EngineError(f"{name} cannot be used: {type(error).__name__}: {error}") from error
    return engine


def _runtime(
    name: str,
    stored: StoredNetwork,
    cache: Path | None,
    threads: int | None,
    example: Callable[[], Clips] | None,
) -> Runtime:
    # Imported when asked for: OpenVINO may be missing, and PyTorch is not needed beside it.
    if name == "openvino":
        from model_store.engines.openvino_cpu import OpenVinoRuntime

        return OpenVinoRuntime(stored, cache=cache, threads=threads)
    if name == "cuda" and not gpu.is_available():
        raise gpu.why_not()
    from model_store.engines.parts import Parts

    parts = Parts.of(stored.network)
    if name == "cuda":
        from model_store.engines.torch_cuda import CudaRuntime

        return CudaRuntime(parts, example=None if example is None else example())
    from model_store.engines.torch_cpu import TorchRuntime

    return TorchRuntime(parts, threads=threads)
