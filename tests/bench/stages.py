"""
What each stage of scoring a clip costs, measured: seconds of one core.

Processor time, not the clock's: whatever else a machine does spoils it less. Kept as JSON, which
`capacity.py` reads.
"""

import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import av
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from model_store.clip import load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT, PAPER, NetworkSpec
from model_store.scorer import Scorer
from model_store.spec import SPECS, ClipSpec
from model_store.store import Store
from tests.servers import live_server

DEMO = Path(__file__).parents[2] / "service/web/demo/dive.mp4"
SIZES = {"320×240": (320, 240), "1280×720": (1280, 720), "1920×1080": (1920, 1080)}
USUAL = "1280×720"
BATCH = 8  # clips; SCORING_BATCH_CLIPS


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of one core a clip, but for `batch_s`: a batch of so many clips."""

    machine: str
    measured: str
    engine: str
    front_s: float
    """Receiving, hashing, answering: what the service's one event loop does."""
    decode_s: dict[str, float]
    batch_s: dict[int, float]
    gflop: dict[str, float]
    """Of a network, a clip: 10⁹ multiplications and additions, by preset."""
    megabytes: dict[str, float]
    """Of the clips that were decoded."""

    @classmethod
    def read(cls, path: Path) -> "Stages":
        values = json.loads(path.read_text())
        values["batch_s"] = {int(clips): seconds for clips, seconds in values["batch_s"].items()}
        return cls(**values)

    def score_s(self, clips: int) -> float:
        """A straight line through the smallest and the largest batch."""
        few, many = min(self.batch_s), max(self.batch_s)
        each = (self.batch_s[many] - self.batch_s[few]) / (many - few)
        return self.batch_s[few] + each * (clips - few)


def measure() -> Stages:
    checkpoint = Store().load("diving")
    scorer = Scorer(checkpoint, "openvino", threads=1)
    clips = {size: recoded(*pixels) for size, pixels in SIZES.items()}
    prepared = load_clip(clips[USUAL], checkpoint.spec)
    batches = {n: [prepared] * n for n in (1, BATCH)}
    return Stages(
        machine=f"{cpu_model()}, one core",
        measured=date.today().isoformat(),
        engine=scorer.engine.name,
        front_s=front_s(clips[USUAL]),
        decode_s={
            size: processor_s(lambda clip=clip: load_clip(clip, checkpoint.spec))
            for size, clip in clips.items()
        },
        batch_s={
            n: processor_s(lambda batch=batch: scorer.score(batch)) for n, batch in batches.items()
        },
        gflop={
            "compact": checkpoint.card.network.views * gflop(COMPACT, checkpoint.spec),
            "paper": gflop(PAPER, SPECS["diving"]),
        },
        megabytes={size: len(clip) / 1e6 for size, clip in clips.items()},
    )


def processor_s(work: Callable[[], object], *, runs: int = 15) -> float:
    """Processor time of one run, of all threads: the median."""
    work()
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return round(statistics.median(seconds), 5)


def front_s(clip: bytes, *, runs: int = 100) -> float:
    """Processor time that the service's own process takes for a clip whose answer it knows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        live_server(
            Store().root, Path(folder), checkpoints="diving", result_cache_bytes=1 << 20
        ) as server,
    ):
        assert server.score(clip).headers["x-cache"] == "miss"
        began = server_s(server.process.pid)
        for _ in range(runs):
            assert server.score(clip).headers["x-cache"] == "hit"
        return (server_s(server.process.pid) - began) / runs


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
    return round(counter.get_total_flops() / 1e9, 3)


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.partition(": ")[2] for x in lines if x.startswith("model name")), "a CPU")
