"""
How many cores and devices a load needs, and what a thousand clips cost: `docker/CAPACITY.md`.

    python -m tests.bench.capacity measure docker/stages.json
    python -m tests.bench.capacity table docker/stages.json --core-hour 0.04

Clips arrive at random, wait for a decode core, then for a device that scores whatever waits, up to
a batch. Stage times are measured as processor time of one core, so a busy machine spoils them
little; waiting is simulated, and `test_capacity.py` holds it against queueing theory.
"""

import io
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import simpy
import torch
import typer
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from model_store.clip import cut, load_clip
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from model_store.store import Store
from tests.servers import live_server

DEMO = Path(__file__).parents[2] / "service/web/demo/dive.mp4"
SIZES = {"320×240": (320, 240), "1280×720": (1280, 720), "1920×1080": (1920, 1080)}
USUAL = "1280×720"  # what the table is for
BATCH = 8  # clips; SCORING_BATCH_CLIPS
LOADS = (10, 1_000, 100_000)  # clips an hour
SIMULATED = 20_000  # clips a load
WAIT_S = 2.0  # that at most one clip in twenty may wait, beyond its own work
FULLEST = 0.7  # share of the time that cores and devices may be busy: the rest is for peaks

Draw = Callable[[np.random.Generator, float], float]


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
    gflop: float
    """Of the network, a clip: 10⁹ multiplications and additions."""
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


@dataclass(frozen=True, slots=True)
class Device:
    """What scores: seconds for a batch of n clips."""

    name: str
    batch_s: Callable[[int], float]
    hour: float
    """Price."""

    @property
    def rate(self) -> float:
        """Clips a second, in full batches."""
        return BATCH / self.batch_s(BATCH)


@dataclass(frozen=True, slots=True)
class Outcome:
    waits_s: NDArray[np.float64]
    """Of each clip, beyond the work on it."""
    decode_busy: float
    """Share of the time, of all cores."""
    score_busy: float
    batch: float
    """Clips a batch, on average."""

    @property
    def late_s(self) -> float:
        """One clip in twenty waits longer."""
        return float(np.quantile(self.waits_s, 0.95))


def always(generator: np.random.Generator, seconds: float) -> float:
    return seconds


def simulate(
    rate: float,
    *,
    cores: int,
    decode_s: float,
    devices: int,
    batch_s: Callable[[int], float],
    most: int = BATCH,
    clips: int = SIMULATED,
    seed: int = 0,
    draw: Draw = always,
) -> Outcome:
    """`rate` clips a second arrive at random; `draw` turns a mean decode time into one clip's."""
    generator = np.random.default_rng(seed)
    world = simpy.Environment()
    decoders = simpy.Resource(world, cores)
    decoded = simpy.Store(world)
    waits: list[float] = []
    batches: list[int] = []
    busy = {"decode": 0.0, "score": 0.0}

    def arrivals() -> Iterator[simpy.Event]:
        for _ in range(clips):
            yield world.timeout(generator.exponential(1 / rate))
            world.process(clip(world.now))

    def clip(arrived: float) -> Iterator[simpy.Event]:
        with decoders.request() as core:
            yield core
            work = draw(generator, decode_s)
            yield world.timeout(work)
            busy["decode"] += work
        yield decoded.put((arrived, work))

    def device() -> Iterator[simpy.Event]:
        while True:
            batch = [(yield decoded.get())]
            while decoded.items and len(batch) < most:
                batch.append((yield decoded.get()))
            seconds = batch_s(len(batch))
            yield world.timeout(seconds)
            busy["score"] += seconds
            batches.append(len(batch))
            waits.extend(world.now - arrived - work - seconds for arrived, work in batch)

    world.process(arrivals())
    for _ in range(devices):
        world.process(device())
    while len(waits) < clips:
        world.step()
    return Outcome(
        waits_s=np.array(waits),
        decode_busy=busy["decode"] / world.now / cores,
        score_busy=busy["score"] / world.now / devices,
        batch=statistics.fmean(batches),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The fewest cores and devices that a load gets by with."""

    per_hour: int
    cores: int
    devices: int
    outcome: Outcome

    @classmethod
    def of(cls, per_hour: int, stages: Stages, device: Device) -> "Plan":
        rate = per_hour / 3600
        decode_s = stages.decode_s[USUAL] + stages.front_s
        cores = max(1, math.ceil(rate * decode_s / FULLEST))
        devices = max(1, math.ceil(rate / device.rate / FULLEST))
        while True:
            outcome = simulate(
                rate, cores=cores, decode_s=decode_s, devices=devices, batch_s=device.batch_s
            )
            if outcome.late_s <= WAIT_S:
                return cls(per_hour, cores, devices, outcome)
            if outcome.decode_busy > outcome.score_busy:
                cores += 1
            else:
                devices += 1

    def cost(self, core_hour: float, device: Device) -> float:
        """Of a thousand clips."""
        return 1000 * (self.cores * core_hour + self.devices * device.hour) / self.per_hour


def table(stages: Stages, device: Device, *, core_hour: float) -> str:
    lines = [
        "| clips an hour | decode cores | busy | " + device.name + " | busy | clips a batch |"
        " 95 % wait less than | 1,000 clips cost |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for per_hour in LOADS:
        plan = Plan.of(per_hour, stages, device)
        outcome = plan.outcome
        lines.append(
            f"| {per_hour:,} | {plan.cores} | {outcome.decode_busy:.1%} | {plan.devices}"
            f" | {outcome.score_busy:.1%} | {outcome.batch:.1f} | {outcome.late_s:.2f} s"
            f" | ${plan.cost(core_hour, device):.3f} |"
        )
    return "\n".join(lines)


def rates(stages: Stages) -> str:
    lines = [
        "| stage | a clip | clips a second and core |",
        "|---|--:|--:|",
        f"| receive, hash, answer | {1e3 * stages.front_s:.1f} ms | {1 / stages.front_s:.0f} |",
    ]
    for size, seconds in stages.decode_s.items():
        megabytes = stages.megabytes[size]
        lines.append(
            f"| decode {size}, {megabytes:.1f} MB | {1e3 * seconds:.0f} ms | {1 / seconds:.1f} |"
        )
    for clips, seconds in stages.batch_s.items():
        lines.append(
            f"| score with {stages.engine}, batches of {clips} | {1e3 * seconds / clips:.0f} ms"
            f" | {clips / seconds:.1f} |"
        )
    return "\n".join(lines)


def report(
    stages: Stages, core_hour: float, gpu_hour: float, gpu_tflops: float, gpu_launch_ms: float
) -> str:
    """The part of CAPACITY.md that is numbers."""

    def gpu_batch_s(clips: int) -> float:
        return (gpu_launch_ms + clips * stages.gflop / gpu_tflops) / 1e3

    core = Device("scoring cores", stages.score_s, core_hour)
    gpu = Device("GPUs", gpu_batch_s, gpu_hour)
    per_gpu = gpu.rate * (stages.decode_s[USUAL] + stages.front_s)
    return "\n".join(
        [
            f"Measured on {stages.machine}, {stages.measured}:",
            "",
            rates(stages),
            "",
            f"Scored on CPU cores, ${core_hour:g} each an hour:",
            "",
            table(stages, core, core_hour=core_hour),
            "",
            f"Scored on GPUs, ${gpu_hour:g} each an hour, **assumed, not measured**, to do"
            f" {gpu_tflops:g} TFLOP/s on a network of {stages.gflop:.1f} GFLOP a clip and to take"
            f" {gpu_launch_ms:g} ms a batch besides, that is {gpu.rate:.0f} clips a second:",
            "",
            table(stages, gpu, core_hour=core_hour),
            "",
            f"One such GPU is kept busy by {per_gpu:.0f} decode cores.",
        ]
    )


# --- measuring -----------------------------------------------------------------------------------


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
        gflop=gflop(checkpoint.network, prepared, checkpoint.spec),
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
    return statistics.median(seconds)


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


def gflop(network: torch.nn.Module, clip: NDArray[np.uint8], spec: ClipSpec) -> float:
    """Of the extractors and the head once, without the coalitions."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.from_numpy(cut(clip[None], spec)))
    return counter.get_total_flops() / 1e9


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.partition(": ")[2] for x in lines if x.startswith("model name")), "a CPU")


# --- the command ---------------------------------------------------------------------------------

command = typer.Typer(add_completion=False, no_args_is_help=True)


@command.command("measure")
def measure_command(file: Path) -> None:
    """Measure the stages on this machine, and keep them."""
    file.write_text(json.dumps(asdict(measure()), indent=2, ensure_ascii=False) + "\n")


@command.command("table")
def table_command(
    file: Path,
    core_hour: Annotated[float, typer.Option(help="Price of a core.")] = 0.04,
    gpu_hour: Annotated[float, typer.Option(help="Price of a GPU.")] = 0.80,
    gpu_tflops: Annotated[float, typer.Option(help="What a GPU does on this network.")] = 4.0,
    gpu_launch_ms: Annotated[float, typer.Option(help="What it takes a batch besides.")] = 5.0,
) -> None:
    """Print what `docker/CAPACITY.md` shows, from measured stages."""
    print(report(Stages.read(file), core_hour, gpu_hour, gpu_tflops, gpu_launch_ms))


if __name__ == "__main__":
    command()
