"""
`python -m tests.bench.gpu`: the paper-size network on an NVIDIA GPU, into GPU.md.

Figures are absolute, with the chip's name. The page is written line by line, so a run that breaks
off leaves what it has found. Exit code 1 when a target is missed (40 % of the chip's bf16 matrix
rate in the extractors, 0.25 points from float32, no memory left by a closed engine) or a section
fails, 3 where there is no GPU.

`--device cpu --tiny` rehearses it on a CPU with a tiny network: those figures mean nothing.
"""

import argparse
import contextlib
import copy
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from model_store.clip import load_clip
from model_store.engines import Engine, make_engine
from model_store.engines.cuda_device import fast_kernels
from model_store.engines.cuda_network import Jobs, in_turn
from model_store.engines.parts import Parts
from model_store.engines.torch_cuda import CudaRuntime
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import DIVING
from model_store.store import Store
from model_store.worker_pool import worker_pool
from tests.bench.dives import dives
from tests.bench.grouped import GroupedExtraction
from tests.bench.load import Endpoint, score_all
from tests.bench.network import some_clips
from tests.bench.servers import room_for, service
from tests.bench.training_step import training_rate
from tests.checkpoints import TINY, tiny_card, tiny_network, tiny_spec
from tests.cpu_device import cuda_on_cpu

Extractors: TypeAlias = Callable[[Tensor, Jobs], Tensor]

LEAST_SHARE, TOLERANCE = 0.4, 0.25
MOST_LEFT = 0.2  # GB that a closed engine may leave: libraries keep workspaces for streams
PAGE = Path(__file__).parent / "GPU.md"
FOLDER = Path("data/bench").absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    batches: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
    kernel_batches: tuple[int, ...] = (1, 4, 8, 16, 32)
    clients: tuple[int, ...] = (1, 4, 16, 64)
    decode_workers: int = 16
    matrix: int = 8192
    """Side of the bf16 matrices whose product is the chip's rate."""
    runs: int = 10
    passes: int = 3
    """Over all clips, through the service."""


SMALL = Size(
    batches=(1, 3), kernel_batches=(1, 2), clients=(1, 64), decode_workers=1, matrix=64, runs=1,
    passes=1,
)  # fmt: skip
MOST_GROUPED = 8  # clips: with more the first layer's outputs are beyond an int32


@dataclass(slots=True)
class Page:
    """Lines that are printed, and kept in a file from the first one on."""

    path: Path
    lines: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n")

    def require(self, holds: bool, target: str) -> None:
        if not holds:
            self.missed.append(target)


@dataclass(slots=True, kw_only=True)
class Bench:
    page: Page
    size: Size
    on_gpu: bool
    network: FragmentNetwork
    fastest: float | None = None
    """Clips a second of the engine, once they are known."""

    @contextmanager
    def engine(self) -> Iterator[tuple[Engine, CudaRuntime]]:
        """The engine as the service has it; closed afterwards."""
        engine = make_engine(self.network, name="cuda")
        runtime = engine.runtime
        assert isinstance(runtime, CudaRuntime)
        try:
            yield engine, runtime
        finally:
            engine.close()

    def clips(self, count: int) -> NDArray[np.uint8]:
        spec = self.network.clip_spec
        return some_clips(count, spec.frames, *spec.crop)

    def median_s(self, work: Callable[[], object], *, runs: int | None = None) -> float:
        """Of some runs after a warm-up, of work that ends when it returns."""
        work()
        seconds = []
        for _ in range(runs or self.size.runs):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds)

    def memory_gb(self, *, peak: bool = False) -> float:
        """That PyTorch holds on the GPU, or held at most since this was last asked."""
        if not self.on_gpu:
            return 0.0
        found = torch.cuda.max_memory_reserved() if peak else torch.cuda.memory_reserved()
        torch.cuda.reset_peak_memory_stats()
        return found / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny network, few runs")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="some sections")
    parser.add_argument("--page", type=Path, help="where to write; GPU.md for a whole run")
    chosen = parser.parse_args(arguments)
    on_gpu = chosen.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        print("there is no CUDA device: nothing is measured", file=sys.stderr)
        return 3
    whole = on_gpu and not chosen.tiny and chosen.only is None
    page = Page(chosen.page or (PAGE if whole else FOLDER / "GPU.md"))
    torch.manual_seed(0)
    network = (
        tiny_network(tiny_spec(), TINY) if chosen.tiny else FragmentNetwork(PAPER, DIVING).eval()
    )
    bench = Bench(page=page, size=SMALL if chosen.tiny else Size(), on_gpu=on_gpu, network=network)
    chip = (
        torch.cuda.get_device_name() if on_gpu else "a rehearsal on a CPU: no figure means anything"
    )
    page.add("# On a GPU\n")
    page.add(f"{datetime.now(UTC):%Y-%m-%d}, {chip}, torch {torch.__version__}, `make bench-gpu`.")
    with contextlib.nullcontext() if on_gpu else cuda_on_cpu():
        for name in chosen.only or SECTIONS:
            page.add()
            try:
                SECTIONS[name](bench)
            except Exception as error:  # the others are worth having, whatever is wrong with one
                traceback.print_exc()
                page.add(f"\n`{name}` broke off: {type(error).__name__}.")
                page.missed.append(name)
    if page.missed:
        page.add("\nMissed: " + "; ".join(page.missed) + ".")
    return int(bool(page.missed))


def batches(bench: Bench) -> None:
    """All fragments with contributions: clips that are on the device, and clips that are not."""
    page = bench.page
    with bench.engine() as (engine, _):
        for size in engine.preparations(max(bench.size.batches)):
            engine.prepare(size)
        page.add("| batch | clips/s | latency, ms | with the upload, ms | memory at most, GB |")
        page.add("|---|---|---|---|---|")
        for batch in bench.size.batches:
            clips = bench.clips(batch)
            uploads = [engine.upload(clip) for clip in clips]
            ahead = bench.median_s(partial(engine.score, uploads))
            at_once = bench.median_s(partial(engine.score, clips))
            bench.fastest = max(bench.fastest or 0.0, batch / ahead)
            memory = bench.memory_gb(peak=True)
            page.add(
                f"| {batch} | {batch / ahead:.1f} | {1e3 * ahead:.1f} | {1e3 * at_once:.1f}"
                f" | {memory:.1f} |"
            )


def kernels(bench: Bench) -> None:
    """The extractors alone, as the engine sets them up: in three arrangements, and not recorded."""
    page, best = bench.page, 0.0
    with bench.engine() as (_, runtime):
        device, extraction = runtime.device, runtime.network.extraction
        flops, matrix_rate = clip_flops(bench.network), _matrix_rate(bench, runtime)
        ways: dict[str, tuple[Extractors, Jobs, bool]] = {
            "side by side": (extraction, device.side_by_side, True),
            "in turn": (extraction, in_turn, True),
            "grouped": (GroupedExtraction(extraction), in_turn, True),
            "in turn, no graph": (extraction, in_turn, False),
        }
        page.add(f"A bf16 matrix product: {matrix_rate / 1e12:.3g} TFLOP/s. Extractors:\n")
        page.add(f"| batch | {' | '.join(ways)} |")
        page.add("|---|" + "---|" * len(ways))
        for batch in bench.size.kernel_batches:
            clips = torch.from_numpy(bench.clips(batch)).to(device.torch_device)
            cells = []
            for name, way in ways.items():
                if name == "grouped" and batch > MOST_GROUPED:
                    cells.append("–")
                    continue
                rate = batch * flops / _seconds(bench, runtime, *way, clips)
                cells.append(f"{rate / 1e12:.3g} TFLOP/s, {rate / matrix_rate:.0%}")
                if name in ("side by side", "in turn"):  # what the engine does
                    best = max(best, rate)
            page.add(f"| {batch} | {' | '.join(cells)} |")
        share = best / matrix_rate
        page.require(
            share >= LEAST_SHARE, f"{share:.0%} of the matrix rate, wanted {LEAST_SHARE:.0%}"
        )


def _seconds(
    bench: Bench,
    runtime: CudaRuntime,
    extraction: Extractors,
    jobs: Jobs,
    recorded: bool,
    clips: Tensor,
) -> float:
    """With the kernels that the engine would have chosen."""
    device = runtime.device
    with device.on(device.compute), torch.inference_mode(), fast_kernels():
        work = partial(extraction, clips, jobs)
        recording = None
        if recorded:
            extraction(clips, in_turn)  # cuDNN tries its kernels
            recording, _ = device.record(lambda: (work(),))

        def run() -> None:
            if recording is None:
                work()
            else:
                recording.replay()
            device.wait()

        seconds = bench.median_s(run)
    if recording is not None:
        recording.reset()
        device.give_memory_back()
    return seconds


def _matrix_rate(bench: Bench, runtime: CudaRuntime) -> float:
    """Operations a second."""
    side, device = bench.size.matrix, runtime.device
    with device.on(device.compute), torch.inference_mode():
        a, b = torch.randn(2, side, side, device=device.torch_device).to(torch.bfloat16)

        def run() -> None:
            torch.mm(a, b)
            device.wait()

        return 2 * side**3 / bench.median_s(run)


def clip_flops(network: FragmentNetwork) -> float:
    """Of the extractors for one clip, as the network is defined: not with the padded channels."""
    spec = network.clip_spec
    extraction = copy.deepcopy(Parts.of(network).extraction).to("meta")
    clip = torch.zeros(1, spec.frames, *spec.crop, 3, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        extraction(clip)
    return float(counted.get_total_flops())


def graphs(bench: Bench) -> None:
    """One clip: the whole network replayed, and launched kernel by kernel."""
    with bench.engine() as (engine, runtime):
        upload = engine.upload(bench.clips(1)[0])

        def eager() -> None:
            with runtime.device.on(runtime.device.compute), torch.inference_mode(), fast_kernels():
                runtime.device.after(upload.pixels.copied)
                for answer in runtime.network(upload.pixels.pixels[None]):
                    answer.cpu()

        replayed = bench.median_s(partial(engine.score, [upload]))
        launched = bench.median_s(eager)
    bench.page.add(
        f"Batch 1: {1e3 * replayed:.1f} ms as a CUDA graph, with contributions;"
        f" {1e3 * launched:.1f} ms kernel by kernel, without ({replayed / launched:.2f})."
    )


def agreement(bench: Bench) -> None:
    spec, page = bench.network.clip_spec, bench.page
    clips = bench.clips(2)
    if bench.on_gpu:
        clips = np.concatenate([clips[:1], load_clip(dives(FOLDER)[0], spec)[None]])
    reference = make_engine(bench.network, name="torch").score(clips).contributions
    with bench.engine() as (engine, runtime):
        dtype = runtime.network.extraction.dtype
        ours = engine.score(clips).contributions
    pairs = list(zip(ours, reference, strict=True))
    score = max(float(np.abs(a.score - b.score).max()) for a, b in pairs)
    part = max(float(np.abs(a.contribution - b.contribution).max()) for a, b in pairs)
    page.require(score <= TOLERANCE, f"{score:.3f} points from float32, allowed {TOLERANCE}")
    page.add(
        f"In {str(dtype).removeprefix('torch.')}, from float32 on the CPU: scores {score:.4f}"
        f" points, contributions {part:.4f} (allowed {TOLERANCE})."
    )


def memory(bench: Bench) -> None:
    """What an engine takes, and what it leaves when it is closed."""
    before = bench.memory_gb()
    with bench.engine() as (engine, _):
        for size in engine.preparations(max(bench.size.batches)):
            engine.prepare(size)
        taken = bench.memory_gb() - before
    left = bench.memory_gb() - before
    bench.page.require(left <= MOST_LEFT, f"{left:.2f} GB left by a closed engine")
    bench.page.add(f"An engine with all its graphs: {taken:.2f} GB; once closed, {left:.2f} GB.")


def pipeline(bench: Bench) -> None:
    """Requests, until something is at its limit."""
    page, size, spec = bench.page, bench.size, bench.network.clip_spec
    clips = dives(FOLDER)
    repeats = 4 if bench.on_gpu else 2
    with decoding(size.decode_workers, clips) as pool:
        began = time.perf_counter()
        list(pool.map(_decode, clips * repeats))
        decoded = len(clips) * repeats / (time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as name:
        card = tiny_card(spec, bench.network.network_spec)
        Store(name).publish(card, bench.network, golden_clip=clips[0], readme="Random weights.\n")
        settings = {
            "store": name,
            "engine": "cuda" if bench.on_gpu else "torch",
            "decode_workers": size.decode_workers,
            "batch_clips": 32,
            **room_for(max(size.clients)),
        }
        page.add("| clients | clips/s through the service |\n|---|---|")
        with service(FOLDER, **settings) as process:
            endpoint = Endpoint(f"{process.url}/score")
            score_all(endpoint, clips, max(size.clients))
            for clients in size.clients:
                work = partial(score_all, endpoint, clips * repeats, clients)
                seconds = bench.median_s(work, runs=size.passes)
                page.add(f"| {clients} | {repeats * len(clips) / seconds:.1f} |")
    page.add(f"\n{size.decode_workers} bare decoders give {decoded:.0f} clips/s.")
    if bench.fastest is not None:
        limit = "the GPU" if bench.fastest < decoded else "decoding"
        page.add(f"The engine alone takes {bench.fastest:.0f}: {limit} is the limit.")


def training(bench: Bench) -> None:
    spec, network = bench.network.clip_spec, bench.network.network_spec
    batch, steps = (8, 24) if bench.on_gpu else (4, 3)
    rate = training_rate(network, spec, FOLDER, batch=batch, steps=steps)
    bench.page.add(f"Training, this network: {rate}")


@contextmanager
def decoding(workers: int, clips: Sequence[bytes]) -> Iterator[Executor]:
    with worker_pool(workers) as pool:
        list(pool.map(_decode, clips[:workers]))  # processes are started
        yield pool


def _decode(clip: bytes) -> None:
    load_clip(clip, DIVING)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    each.__name__: each
    for each in (agreement, batches, kernels, graphs, memory, training, pipeline)
}


if __name__ == "__main__":
    sys.exit(main())
