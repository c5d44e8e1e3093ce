"""
What each stage of scoring a clip costs: the table of `docker/CAPACITY.md`.

    python -m tests.bench.stages

Seconds of one core, in processor time and not the clock's: whatever else a machine does spoils it
less.
"""

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import av
import httpx
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from model_store.clip import load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT, PAPER, NetworkSpec
from model_store.scorer import Scorer
from model_store.spec import SPECS, ClipSpec
from model_store.store import Store
from tests.bench.report import processor
from tests.bench.servers import service

DEMO = Path(__file__).parents[2] / "service/web/demo/dive.mp4"
SIZES = {"320×240": (320, 240), "1280×720": (1280, 720), "1920×1080": (1920, 1080)}
BATCHES = (1, 8)  # clips; SCORING_BATCH_CLIPS is 8


def main() -> None:
    checkpoint = Store().load("diving")
    scorer = Scorer(checkpoint, "openvino", threads=1)
    clips = {size: recoded(*pixels) for size, pixels in SIZES.items()}
    print(f"Measured on {processor()}, one core, {date.today()}:\n")
    print("| stage | a clip | clips a second and core |\n|---|--:|--:|")
    print(row("receive, hash, answer", front_s(clips["1280×720"])))
    for size, clip in clips.items():
        seconds = processor_s(partial(load_clip, clip, checkpoint.spec))
        print(row(f"decode {size}, {len(clip) / 1e6:.1f} MB", seconds))
    prepared = load_clip(clips["1280×720"], checkpoint.spec)
    for batch in BATCHES:
        seconds = processor_s(partial(scorer.score, [prepared] * batch)) / batch
        print(row(f"score with {scorer.engine.name}, batches of {batch}", seconds))
    compact = checkpoint.card.network.views * gflop(COMPACT, checkpoint.spec)
    paper = gflop(PAPER, SPECS["diving"])
    print(f"\nGFLOP a clip: the shipped network {compact:.1f}, the paper's {paper:.0f}.")


def row(stage: str, seconds: float) -> str:
    return f"| {stage} | {1e3 * seconds:.1f} ms | {1 / seconds:.1f} |"


def processor_s(work: Callable[[], object], *, runs: int = 15) -> float:
    """Processor time of one run, of all threads: the median."""
    work()
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def front_s(clip: bytes, *, runs: int = 100) -> float:
    """Processor time that the service's own process takes for a clip whose answer it knows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), result_cache_bytes=1 << 20) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        assert client.post("/score", files={"clip": clip}).headers["x-cache"] == "miss"
        began = server_s(server.pid)
        for _ in range(runs):
            assert client.post("/score", files={"clip": clip}).headers["x-cache"] == "hit"
        return (server_s(server.pid) - began) / runs


def server_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def recoded(width: int, height: int) -> bytes:
    """The page's simulated dive at another size, with a sensor's noise: smooth clips are cheap."""
    generator = np.random.default_rng(0)
    content = io.BytesIO()
    with av.open(DEMO) as source, av.open(content, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=30, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in source.decode(video=0):
            pixels = frame.reformat(width, height, "rgb24").to_ndarray()
            noise = generator.normal(0, 2.5, pixels.shape[:2])[..., None]  # levels
            noisy = (pixels + noise).clip(0, 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(noisy)))
        output.mux(stream.encode(None))
    return content.getvalue()


def gflop(network: NetworkSpec, spec: ClipSpec) -> float:
    """Of the extractors and the head once, without the coalitions; counted, not run."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        built = FragmentNetwork(network, spec).eval()
        built(
            torch.zeros(1, spec.fragments, spec.fragment_length, *spec.crop, 3, dtype=torch.uint8)
        )
    return float(counter.get_total_flops()) / 1e9


if __name__ == "__main__":
    main()
