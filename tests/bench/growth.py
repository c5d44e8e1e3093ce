"""Cost as work grows: batches, frames and fragments, each against a straight line."""

import dataclasses
from functools import partial

import torch

from model_store.clip import read_clip
from model_store.engines import make_engine
from model_store.engines.parts import Parts
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT
from model_store.spec import DIVING
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.decode import SMALL
from tests.bench.footage import Footage, repeated
from tests.bench.measure import Contender, Ratio, Timings
from tests.bench.network import some_clips
from tests.bench.peers.runtimes import openvino_alone
from tests.bench.results import Row, at_most

LINEAR = at_most(1.10)  # of the straight line
BATCHES = (1, 2, 4, 8)
FRAMES = (100, 300, 900, 4500)
FRAGMENTS = (1, 2, 4, 8, 12)


def run(bench: Bench) -> None:
    for name, contenders in (
        ("batch of clips", _batches(bench)),
        ("frames of a clip", _frames(bench)),
        ("fragments of a clip", _fragments(bench)),
    ):
        timings = bench.compare(
            name, {str(size): run for size, run in contenders.items()}, budget_s=12, fewest=3
        )
        worst_row(bench, name, {size: timings[str(size)] for size in contenders})


def worst_row(bench: Bench, name: str, by_size: dict[int, Timings]) -> None:
    """Add the row of the size that costs most, compared with a straight line from the least."""
    least = min(by_size)
    lines = {
        size: Timings(tuple(seconds * size / least for seconds in by_size[least].seconds))
        for size in by_size
    }
    worst = max(
        (size for size in by_size if size != least),
        key=lambda size: by_size[size].median / lines[size].median,
    )
    bench.results.rows.append(
        Row(
            stage="growth", case=f"{name}, {least}…{max(by_size)}",
            peer=f"straight line, worst at {worst}", unit="ms",
            ours=1e3 * by_size[worst].median, theirs=1e3 * lines[worst].median,
            ratio=Ratio.of(by_size[worst], lines[worst]), target=LINEAR,
        )
    )  # fmt: skip


def _batches(bench: Bench) -> dict[int, Contender]:
    checkpoint = Store().load("diving")
    engine = make_engine(
        checkpoint.network, name="openvino", threads=usable_cpus(), cache=bench.folder / "cache"
    )
    spec = checkpoint.spec
    return {
        size: partial(engine.score, some_clips(size, spec.frames, *spec.crop)) for size in BATCHES
    }


def _frames(bench: Bench) -> dict[int, Contender]:
    spec = Store().load("vault").spec  # its fragments fit into 100 frames
    least = Footage(name="h264-240-100", frames=FRAMES[0], **SMALL).read(bench.folder)
    return {
        frames: partial(
            read_clip,
            repeated(least, frames // FRAMES[0]),
            dataclasses.replace(spec, frames=frames),
        )
        for frames in FRAMES
    }


def _fragments(bench: Bench) -> dict[int, Contender]:
    """The extractors alone: 2^K coalitions grow as they must."""
    contenders: dict[int, Contender] = {}
    for fragments in FRAGMENTS:
        bench.progress(f"growth: converting a network of {fragments} fragments")
        length = DIVING.fragment_length
        spec = dataclasses.replace(
            DIVING, fragments=fragments, frames=fragments * length, resize=(72, 96), crop=(64, 64)
        )
        torch.manual_seed(0)
        extraction = Parts.of(FragmentNetwork(COMPACT, spec).eval()).extraction
        clip = torch.from_numpy(some_clips(1, spec.frames, *spec.crop))
        contenders[fragments] = openvino_alone(extraction, clip, usable_cpus())
    return contenders
