"""A training step of the compact network, as `train` makes it and as it would be made first."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_store.clip import cut, load_clip
from model_store.network_spec import COMPACT, NetworkSpec
from model_store.spec import DIVING, ClipSpec
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.dives import dives_folder
from tests.bench.results import at_most, timed
from training.data.batches import Batch, Draw, grouped
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.resident_clips import ResidentClips
from training.learn.arithmetic import trusted_device
from training.learn.first_weights import new_network
from training.learn.learner import Learner
from training.learn.malloc import keep_freed_memory
from training.learn.run_spec import RunSpec
from training.learn.training_step import TrainingStep
from training.learn.whole_phase import WholePhase

BATCH = 4
STEPS = 3  # a measurement: the first one waits for its data, the others need not


class PlainPhase(WholePhase):
    """Clips decoded for each step, when they are needed."""

    def micro_batches(self, epoch: int, first: int) -> Iterator[Batch]:
        dataset = self.learner.dataset
        for some in grouped(itertools.cycle(dataset.training.tolist()), BATCH):
            yield decoded(dataset, np.array(some))


class PlainLearner(Learner):
    """Extractors as they are written, on contiguous pixels."""

    def features(self, batch: Batch, *, frozen: bool) -> Tensor:
        network, dtype = self.network, self.device.dtype
        fragments = batch.fragments.permute(0, 1, 5, 2, 3, 4).contiguous()  # (B, K, 3, L, H, W)
        pixels = fragments.float() - network.mean
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            features = [
                extractor(pixels[:, k])
                for k, extractor in zip(network.used, network.extractors, strict=True)
            ]
        return torch.stack(features, dim=1)


def decoded(dataset: ClipDataset, clips: Any) -> Batch:
    spec = dataset.spec
    frames = np.stack([load_clip(dataset.clips[i].path, spec) for i in clips])
    fragments = torch.from_numpy(np.ascontiguousarray(cut(frames, spec)))
    draw = Draw(start=spec.start, look=None, hidden=())
    shown = torch.ones(len(clips), spec.fragments, dtype=torch.bool)
    return Batch(
        clips=clips, draws=(draw,) * len(clips), fragments=fragments, shown=shown, whole=len(clips)
    )


def run(bench: Bench) -> None:
    bench.progress("training step: decoding")
    torch.set_num_threads(usable_cpus())
    keep_freed_memory()  # as `train` does; the plain step has it, too
    options = run_of(COMPACT, DIVING.with_size((72, 96), (64, 64)), bench.folder)
    dataset = open_dataset(options.data, options.clip, validation=0.1)
    timings = bench.compare(
        "training step",
        {
            "ours": _steps(options, dataset, WholePhase, Learner),
            "plain": _steps(options, dataset, PlainPhase, PlainLearner),
        },
        budget_s=40,
        fewest=3,
    )
    bench.results.rows.append(
        timed(
            "training step", f"compact 64×64, batches of {BATCH}, {STEPS} steps",
            "without cache, prefetch, channels last", timings["ours"], timings["plain"],
            at_most(0.77),
        )
    )  # fmt: skip


def run_of(network: NetworkSpec, spec: ClipSpec, folder: Path, *, batch: int = BATCH) -> RunSpec:
    return RunSpec(
        data=(str(dives_folder(folder)),),
        clip=spec,
        network=network,
        epochs=1,
        batch=batch,
        extractor_rate=1e-4,
        rate=1e-4,
        schedule="cosine",
        alpha="balance",
        beta=0.0,
        blanking=0.0,
    )


def training_rate(
    network: NetworkSpec, spec: ClipSpec, folder: Path, *, batch: int, steps: int
) -> str:
    """Clips a second on the device at hand, and its peak memory; for GPU.md."""
    options = run_of(network, spec, folder, batch=batch)
    dataset = open_dataset(options.data, spec, validation=0.1)
    go = _steps(options, dataset, WholePhase, Learner, steps)
    go()
    on_gpu = torch.cuda.is_available()  # on a CPU it is only rehearsed
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    go()
    seconds = time.perf_counter() - began
    memory = torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0
    return f"{batch * steps / seconds:.1f} clips/s in batches of {batch}, {memory:.1f} GB at most."


def _steps(
    options: RunSpec,
    dataset: ClipDataset,
    phase_kind: type[WholePhase],
    kind: type[Learner],
    steps: int = STEPS,
) -> Any:
    network = new_network(options, dataset)
    device = trusted_device(options.precision, network.extractors[0], options.clip, {options.batch})
    network.to(device.kind)
    resident = ResidentClips.where_they_fit(dataset.cache, device.kind)
    phase = phase_kind(kind(options, dataset, network, None, device, resident=resident))
    step = TrainingStep(phase.learner, phase, torch.optim.Adam(phase.groups, fused=True))

    def go() -> None:
        epochs = (phase.micro_batches(epoch, 0) for epoch in itertools.count())
        batches = itertools.islice(itertools.chain.from_iterable(epochs), steps)
        for made in [step.begin([each], number, 1.0) for number, each in enumerate(batches)]:
            made.read()

    return go
