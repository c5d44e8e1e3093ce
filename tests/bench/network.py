"""`Engine.score`, as the service runs it: other runtimes, and what the cores can multiply."""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from model_store.engines import Engine, make_engine
from model_store.engines.parts import Parts, Whole
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import DIVING
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.measure import Ratio, Timings
from tests.bench.peers.runtimes import (
    Clips,
    described,
    onnx_runtime,
    torch_eager,
)
from tests.bench.results import Row, at_least, at_most, timed, why_absent

TOLERANCE = 0.01  # points between any two runtimes
MATRIX = 2048  # side of the matrices whose product is timed
BOUNDS = {"torch eager": 0.9, "ONNX Runtime": 0.6}  # torch and OpenVINO run oneDNN's kernels


def run(bench: Bench) -> None:
    for batch in (1, 8):
        bench.results.rows += _compact(bench, batch)
    bench.results.rows.append(_paper_fragment(bench))


def some_clips(batch: int, frames: int, height: int, width: int) -> Clips:
    """Pixels that are not blank; their values do not matter to the time."""
    random = np.random.default_rng(0)
    return random.integers(1, 256, (batch, frames, height, width, 3), dtype=np.uint8)


def _compact(bench: Bench, batch: int) -> list[Row]:
    bench.progress("network: converting")
    checkpoint, threads = Store().load("diving"), usable_cpus()
    network, spec = checkpoint.network, checkpoint.spec
    clips = some_clips(batch, spec.frames, *spec.crop)
    engine = make_engine(network, name="openvino", threads=threads, cache=bench.folder / "cache")
    peers: dict[str, dict[str, Engine]] = {
        "torch eager": {
            "torch engine": make_engine(network, name="torch", threads=threads),
            "channels last": torch_eager(network, threads),
        }
    }
    absent = {}
    try:
        peers["ONNX Runtime"] = {
            f"{size} at once": onnx_runtime(network, threads, size) for size in {1, batch}
        }
    except ImportError as error:
        absent["ONNX Runtime"] = why_absent(error)
    contenders: dict[str, Callable[[], object]] = {"ours": partial(engine.score, clips)}
    ours = contributions(engine, clips)
    for peer, variants in peers.items():
        for variant, other in variants.items():
            if (off := float(np.abs(contributions(other, clips) - ours).max())) > TOLERANCE:
                raise AssertionError(f"{peer} {variant} is off by {off} points")
            contenders[f"{peer}, {variant}"] = partial(other.score, clips)
    case = f"compact 64×64, batch {batch}"
    timings = bench.compare(case, contenders, budget_s=25)
    rows = []
    for peer in ("torch eager", "ONNX Runtime"):
        target = at_most(BOUNDS[peer])
        if peer in absent:
            rows.append(
                Row(stage="network", case=case, peer=peer, unit="ms", target=target,
                    absent=absent[peer])
            )  # fmt: skip
            continue
        bench.results.peers[f"network, {peer}"] = described(peer)
        best = min((timings[f"{peer}, {v}"] for v in peers[peer]), key=lambda each: each.median)
        rows.append(timed("network", case, peer, timings["ours"], best, target))
    return rows


def contributions(engine: Engine, clips: Clips) -> NDArray[np.float64]:
    """(O, B, K)"""
    return np.stack([each.contribution for each in engine.score(clips).contributions])


def paper_fragment() -> FragmentNetwork:
    """The paper's network that looks at one fragment."""
    torch.manual_seed(0)
    return FragmentNetwork(dataclasses.replace(PAPER, fragments_used=(0,)), DIVING).eval()


def _paper_fragment(bench: Bench) -> Row:
    bench.progress("network: converting the paper's size")
    threads = usable_cpus()
    torch.set_num_threads(threads)
    network = paper_fragment()
    clips = some_clips(1, DIVING.frames, *DIVING.crop)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        Whole(Parts.of(network))(torch.from_numpy(clips))
    flops = counted.get_total_flops()
    engine = make_engine(network, name="openvino", threads=threads, cache=bench.folder / "cache")
    a, b = torch.randn(2, MATRIX, MATRIX)
    timings = bench.compare(
        "paper size, one fragment",
        {
            "ours": partial(engine.score, clips),
            "torch": partial(torch.mm, a, b),
            "NumPy": partial(np.matmul, a.numpy(), b.numpy()),
        },
        budget_s=20,
    )
    name = min(("torch", "NumPy"), key=lambda library: timings[library].median)
    network_rate = flops / timings["ours"].median
    matrix_rate = 2 * MATRIX**3 / timings[name].median
    ratio = _rates(timings["ours"], timings[name], flops)
    return Row(
        stage="network", case="paper size, one fragment", peer=f"float32 matrix product, {name}",
        unit="GFLOP/s", ours=network_rate / 1e9, theirs=matrix_rate / 1e9, ratio=ratio,
        target=at_least(0.7),
    )  # fmt: skip


def _rates(network: Timings, product: Timings, flops: int) -> Ratio:
    ours = Timings(tuple(s / flops for s in network.seconds))
    theirs = Timings(tuple(s / (2 * MATRIX**3) for s in product.seconds))
    return Ratio.of(theirs, ours)  # of rates, so of times the other way round
