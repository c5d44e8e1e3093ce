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
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from model_store.clip import load_clip
from model_store.engines import make_engine
from model_store.engines.cuda_device import fast_kernels
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import DIVING
from model_store.store import Store
from model_store.worker_pool import worker_pool
from tests.bench.dives import dives
from tests.bench.gpu_bench import SMALL, Bench, Page, Size
from tests.bench.gpu_kernels import kernels
from tests.bench.load import Endpoint, score_all
from tests.bench.servers import room_for, service
from tests.bench.training_step import training_rate
from tests.checkpoints import TINY, tiny_card, tiny_network, tiny_spec
from tests.cpu_device import cuda_on_cpu

TOLERANCE = 0.25  # points from float32
MOST_LEFT = 0.2  # GB that a closed engine may leave: libraries keep workspaces for streams
PAGE = Path(__file__).parent / "GPU.md"
FOLDER = Path("data/bench").absolute()


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
