"""
How many cores and devices a load needs, and what a thousand clips cost: `docker/CAPACITY.md`.

    python -m tests.bench.capacity measure docker/stages.json
    python -m tests.bench.capacity table docker/stages.json --core-hour 0.04

Clips arrive at random, wait for a decode core, then for a device that scores whatever waits, up to
a batch. What the stages cost is measured (`stages.py`); the waiting is simulated, and
`test_capacity.py` holds it against queueing theory.
"""

import json
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import simpy
import typer
from numpy.typing import NDArray

from tests.bench.stages import BATCH, USUAL, Stages, measure

LOADS = (10, 1_000, 100_000)  # clips an hour
SIMULATED = 6_000  # clips a load
WAIT_S = 2.0  # that at most one clip in twenty may wait, beyond its own work
FULLEST = 0.7  # share of the time that cores and devices may be busy: the rest is for peaks

Draw = Callable[[np.random.Generator, float], float]


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

    core = Device("scoring cores", stages.score_s, core_hour)
    gpus = {
        preset: Device(
            "GPUs",
            lambda clips, gflop=gflop: (gpu_launch_ms + clips * gflop / gpu_tflops) / 1e3,
            gpu_hour,
        )
        for preset, gflop in stages.gflop.items()
    }
    feeds = {
        preset: gpu.rate * (stages.decode_s[USUAL] + stages.front_s) for preset, gpu in gpus.items()
    }
    return "\n".join(
        [
            f"Measured on {stages.machine}, {stages.measured}:",
            "",
            rates(stages),
            "",
            f"The shipped network ({stages.gflop['compact']:.1f} GFLOP a clip) on CPU cores, "
            f"${core_hour:g} each an hour:",
            "",
            table(stages, core, core_hour=core_hour),
            "",
            f"The paper's network ({stages.gflop['paper']:.0f} GFLOP a clip) on GPUs, ${gpu_hour:g}"
            f" each an hour, **assumed, not measured**, to do {gpu_tflops:g} TFLOP/s and to take"
            f" {gpu_launch_ms:g} ms a batch besides:",
            "",
            table(stages, gpus["paper"], core_hour=core_hour),
            "",
            "| network, on such a GPU | clips a second | decode cores that keep it busy |",
            "|---|--:|--:|",
            *(
                f"| {preset} | {gpus[preset].rate:.0f} | {feeds[preset]:.0f} |"
                for preset in stages.gflop
            ),
        ]
    )


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
    gpu_tflops: Annotated[float, typer.Option(help="What a GPU does on such networks.")] = 20.0,
    gpu_launch_ms: Annotated[float, typer.Option(help="What it takes a batch besides.")] = 5.0,
) -> None:
    """Print what `docker/CAPACITY.md` shows, from measured stages."""
    print(report(Stages.read(file), core_hour, gpu_hour, gpu_tflops, gpu_launch_ms))


if __name__ == "__main__":
    command()
