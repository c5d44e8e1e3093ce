"""
Teaches one extractor what a fragment shows, before any score: it then goes into every fragment.

Single fragments are cut at random from the cached clips; a throw-away head predicts what
`targets.py` knows of them. It stands where UCF-101 stands in [Li18] §4.2.

Shapes: B fragments, J targets.
"""

import dataclasses
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from model_store.network import C3DExtractor, NetworkSpec, initialise
from model_store.spec import ClipSpec
from training.augment import Augmentation
from training.auxiliary import TargetScale, masked_loss
from training.display import Bar
from training.forward import Device, evaluating, fragment_features
from training.material import Material
from training.run_folder import RunFolder, StepLog, replace_file

HIDDEN = 256  # units of the throw-away head
VALIDATION_FRAGMENTS = 512
REPORT_EVERY = 250  # steps
COLUMNS = ("loss", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSpec:
    data: tuple[str, ...]
    clip: ClipSpec
    network: NetworkSpec
    steps: int
    batch: int = 64
    rate: float = 2e-3
    warmup: float = 0.05
    seed: int = 0
    validation: float = 0.1
    flip: float = 0.5
    colour: float = 0.2
    zoom: float = 0.1

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(flip=self.flip, colour=self.colour, zoom=self.zoom)

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "data": list(self.data),
            "clip": self.clip.to_json(),
            "network": self.network.to_json(),
        }


@dataclass(frozen=True, slots=True)
class FragmentBatch:
    fragments: Tensor
    """(B, L, H, W, 3) uint8"""
    targets: Tensor
    """(B, J), NaN where unknown"""


class Pretrainer(nn.Module):
    """The extractor and the head that is thrown away."""

    mean: Tensor

    def __init__(self, spec: PretrainSpec, features: int, scale: TargetScale) -> None:
        super().__init__()
        self.extractor = C3DExtractor(spec.network.width, spec.network.normalisation)
        self.extractor.apply(initialise)
        self.head = nn.Sequential(
            nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(scale.mean))
        )
        self.scale = scale
        self.register_buffer("mean", torch.tensor(spec.clip.mean).view(3, 1, 1, 1))

    def forward(self, fragments: Tensor, device: Device, *, frozen: bool) -> Tensor:
        with device.autocast():
            features = fragment_features(
                self.extractor, fragments, self.mean, device, frozen=frozen
            )
            predicted: Tensor = self.head(features.flatten(1))
        return predicted.float()


def pretrain(
    spec: PretrainSpec,
    material: Material,
    folder: RunFolder,
    bar: Bar,
    *,
    save_every: float = 60.0,
) -> Path:
    """Train, or go on, to the end; the extractor's file, below the run's folder."""
    device, targets = Device.best(), material.targets
    torch.manual_seed(spec.seed)
    extent = (size // 16 // 2 + 1 for size in spec.clip.crop)  # pool5 pads by 1
    shape = (spec.clip.fragment_length // 16, *extent)
    scale = TargetScale.measure(targets, material.training, spec.seed)
    extractor_channels = C3DExtractor(spec.network.width).channels
    model = Pretrainer(spec, extractor_channels * math.prod(shape), scale).to(device.kind)
    optimiser = torch.optim.Adam(model.parameters(), lr=spec.rate, fused=True)
    step = 0
    if (state := folder.load_state()) is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    held = validation_batches(spec, material)
    log = StepLog(folder.path / "log.csv", COLUMNS, step)
    saved = asked = time.monotonic()

    def save_state() -> None:
        folder.save_state(
            {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        )

    for batch in random_batches(spec, material, step):
        for group in optimiser.param_groups:
            group["lr"] = spec.rate * one_cycle(step, spec.steps, spec.warmup)
        model.train()
        predicted = model(batch.fragments.to(device.kind), device, frozen=False)
        wanted = model.scale(batch.targets.to(device.kind))
        loss, parts = masked_loss(predicted, wanted, targets.groups)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        rate = optimiser.param_groups[0]["lr"]
        log.write(step, {"loss": loss.item(), "rate": rate})
        now = time.monotonic()
        figures = {"loss": loss.item(), "rate": rate, "fragments_per_s": spec.batch / (now - asked)}
        bar.update(step, spec.steps, phase="pretrain", figures=figures)
        if step % REPORT_EVERY == 0 or step == spec.steps:
            bar.say(f"step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in validate(model, held, targets.groups, device).items()))
        if now - saved >= save_every or step == spec.steps:
            save_state()
            saved = time.monotonic()
        asked = time.monotonic()
    log.close()
    weights = {n: t.detach().cpu().contiguous() for n, t in model.extractor.state_dict().items()}
    path = folder.path / "extractor.safetensors"
    replace_file(path, save(weights))
    return path


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """A linear rise, then a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def validate(
    model: Pretrainer, held: list[FragmentBatch], groups: dict[str, slice], device: Device
) -> dict[str, float]:
    """R² of each group of targets on validation fragments: the mean over its known targets."""
    with evaluating(model):
        predicted = torch.cat([model(b.fragments.to(device.kind), device, frozen=True) for b in held])
        wanted = model.scale(torch.cat([b.targets for b in held]).to(device.kind))
    known = ~torch.isnan(wanted)
    count = known.sum(0)
    mean = wanted.nansum(0) / count.clamp_min(1)
    error = torch.where(known, (predicted - wanted).square(), 0).sum(0)
    spread = torch.where(known, (wanted - mean).square(), 0).sum(0)
    enough = (count > 20) & (spread > 1e-3 * count)
    score = torch.where(enough, 1 - error / spread.clamp_min(1e-6), torch.nan)
    return {name: float(score[group].nanmean()) for name, group in groups.items()}


def random_batches(spec: PretrainSpec, material: Material, first: int) -> Iterator[FragmentBatch]:
    """The batches from step `first` on, each made while the one before is used."""

    def make(step: int) -> FragmentBatch:
        random = np.random.default_rng([spec.seed, step])
        clips = random.choice(material.training, spec.batch)
        return fragment_batch(material, clips, random, spec.augmentation)

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, min(first, spec.steps - 1))
        for step in range(first, spec.steps):
            batch = ahead.result()
            if step + 1 < spec.steps:
                ahead = pool.submit(make, step + 1)
            yield batch


def validation_batches(spec: PretrainSpec, material: Material) -> list[FragmentBatch]:
    random = np.random.default_rng([spec.seed, spec.steps, 1])
    clips = random.choice(material.validation, VALIDATION_FRAGMENTS)
    return [
        fragment_batch(material, part, random, Augmentation())
        for part in np.array_split(clips, max(1, VALIDATION_FRAGMENTS // spec.batch))
    ]


def fragment_batch(
    material: Material,
    clips: NDArray[np.int64],
    random: np.random.Generator,
    augmentation: Augmentation,
) -> FragmentBatch:
    """One fragment of each clip, at a random place."""
    length, targets = material.spec.fragment_length, material.targets
    fragments = np.empty((len(clips), length, *material.spec.crop, 3), np.uint8)
    wanted = np.empty((len(clips), targets.size), np.float32)
    for row, clip in enumerate(map(int, clips)):
        frames = material.cache.decoded(clip)
        begin = int(random.integers(len(frames) - length + 1))
        look = augmentation.draw(random, material.spec.crop)
        shown = frames[begin : begin + length]
        fragments[row] = shown if look is None else look.apply(shown)
        trimmed = max(0, int(targets.lengths[clip]) - material.spec.frames)
        wanted[row] = targets.at(clip, begin + trimmed, look)
    return FragmentBatch(torch.from_numpy(fragments), torch.from_numpy(wanted))
