"""
`python -m tests.bench.gpu`: the paper-size network on an NVIDIA GPU, into GPU.md.

Figures are absolute, with the chip's name. Exit code 1 when a target is missed (40 % of the
chip's bf16 matrix rate in the extractors, 0.25 points from float32), 3 where there is no GPU.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from model_store.clip import load_clip
from model_store.engines import Engine, make_engine
from model_store.engines.torch_cuda import CudaRuntime
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import DIVING
from model_store.store import Store
from tests.bench.dives import dives
from tests.bench.load import Endpoint, score_all
from tests.bench.network import some_clips
from tests.bench.servers import service
from tests.bench.training_step import training_rate
from tests.checkpoints import tiny_card

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CLIENTS = (1, 4, 16, 64)
DECODE_WORKERS = 16
MATRIX = 8192  # side of the bf16 matrices whose product is the chip's rate
LEAST_SHARE, TOLERANCE = 0.4, 0.25
RUNS = 10
PAGE = Path(__file__).parent / "GPU.md"
FOLDER = Path("data/bench").absolute()


@dataclass(slots=True)
class Page:
    lines: list[str] = field(default_factory=list)
    missed: bool = False

    def add(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)


def main() -> int:
    if not torch.cuda.is_available():
        print("there is no CUDA device: nothing is measured", file=sys.stderr)
        return 3
    page = Page()
    chip = torch.cuda.get_device_name()
    page.add("# On a GPU\n")
    page.add(
        f"{datetime.now(UTC):%Y-%m-%d}, {chip}, torch {torch.__version__}, `make bench-gpu`.\n"
    )
    torch.manual_seed(0)
    network = FragmentNetwork(PAPER, DIVING).eval()
    engine = make_engine(network, name="cuda")
    fastest = _batches(page, engine)
    _extractors(page, engine, network)
    _graphs(page, engine)
    _agreement(page, engine, network)
    _pipeline(page, network, fastest)
    del engine
    torch.cuda.empty_cache()
    page.add(f"\nTraining, paper preset: {training_rate(PAPER, DIVING, FOLDER)}")
    PAGE.write_text("\n".join(page.lines) + "\n")
    return int(page.missed)


def median_s(work: Callable[[], object]) -> float:
    """Of RUNS runs after a warm-up, the GPU's work included."""
    work()
    seconds = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _batches(page: Page, engine: Engine) -> float:
    """All nine fragments with contributions; the most clips a second."""
    page.add("| batch | clips/s | latency, ms | memory, GB |\n|---|---|---|---|")
    rates = []
    for batch in BATCHES:
        torch.cuda.reset_peak_memory_stats()
        seconds = median_s(partial(engine.score, some_clips(batch, DIVING.frames, *DIVING.crop)))
        rates.append(batch / seconds)
        memory = torch.cuda.max_memory_allocated() / 1e9
        page.add(f"| {batch} | {rates[-1]:.1f} | {1e3 * seconds:.1f} | {memory:.1f} |")
    return max(rates)


def _extractors(page: Page, engine: Engine, network: FragmentNetwork) -> None:
    """Their share of what the chip multiplies in bf16."""
    runtime = engine.runtime
    assert isinstance(runtime, CudaRuntime)
    batch = 16
    clips = torch.from_numpy(some_clips(batch, DIVING.frames, *DIVING.crop)).cuda()
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counted:
            runtime.extraction(clips)
        rate = counted.get_total_flops() / median_s(lambda: runtime.extraction(clips))
        a = torch.randn(MATRIX, MATRIX, device="cuda", dtype=torch.bfloat16)
        matrix_rate = 2 * MATRIX**3 / median_s(lambda: a @ a)
    share = rate / matrix_rate
    page.missed |= share < LEAST_SHARE
    page.add(
        f"\nExtractors, batch {batch}: {rate / 1e12:.0f} TFLOP/s, {share:.0%} of the"
        f" {matrix_rate / 1e12:.0f} TFLOP/s of a bf16 matrix product (target"
        f" {LEAST_SHARE:.0%})."
    )


def _graphs(page: Page, engine: Engine) -> None:
    runtime = engine.runtime
    assert isinstance(runtime, CudaRuntime)
    clips = some_clips(1, DIVING.frames, *DIVING.crop)

    def eager() -> None:
        with torch.inference_mode():
            features = runtime.extraction(torch.from_numpy(clips).cuda()).float()
            runtime.coalition_head(features).cpu()

    replayed, launched = median_s(partial(runtime.values, clips)), median_s(eager)
    page.add(
        f"\nBatch 1: {1e3 * replayed:.1f} ms as a CUDA graph, {1e3 * launched:.1f} ms eager"
        f" ({replayed / launched:.2f})."
    )


def _agreement(page: Page, engine: Engine, network: FragmentNetwork) -> None:
    clips = some_clips(2, DIVING.frames, *DIVING.crop)
    [reference] = make_engine(network, name="torch").score(clips).contributions
    [ours] = engine.score(clips).contributions
    score = float(np.abs(ours.score - reference.score).max())
    contribution = float(np.abs(ours.contribution - reference.contribution).max())
    page.missed |= score > TOLERANCE
    page.add(
        f"\nFrom float32 on the CPU: scores {score:.4f} points, contributions"
        f" {contribution:.4f} (allowed {TOLERANCE})."
    )


def _pipeline(page: Page, network: FragmentNetwork, fastest: float) -> None:
    """Requests, with 16 decode workers, until something is at its limit."""
    clips = dives(FOLDER)
    with decoding(DECODE_WORKERS) as pool:
        began = time.perf_counter()
        list(pool.map(_decode, clips * 4))
        decoded = len(clips) * 4 / (time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as name:
        store = Store(name)
        store.publish(
            tiny_card(DIVING, PAPER), network, golden_clip=clips[0], readme="Random weights.\n"
        )
        settings = {"store": name, "engine": "cuda", "decode_workers": DECODE_WORKERS}
        page.add("\n| clients | clips/s through the service |\n|---|---|")
        with service(FOLDER, **settings, batch_clips=32) as process:
            endpoint = Endpoint(f"{process.url}/score")
            score_all(endpoint, clips, 16)
            for clients in CLIENTS:
                seconds = median_s(partial(score_all, endpoint, clips * 4, clients))
                page.add(f"| {clients} | {4 * len(clips) / seconds:.1f} |")
    limit = "the GPU" if fastest < decoded else "decoding"
    page.add(
        f"\n{DECODE_WORKERS} bare decoders give {decoded:.0f} clips/s, the engine alone takes"
        f" {fastest:.0f}: {limit} is the limit."
    )


@contextmanager
def decoding(workers: int) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_decode, dives(FOLDER)[:workers]))  # processes are started
        yield pool


def _decode(clip: bytes) -> None:
    load_clip(clip, DIVING)


if __name__ == "__main__":
    sys.exit(main())
