"""
Trains one extractor on a pretext task, before any score; `train` copies it to every fragment.

Single fragments are cut at random from the cached clips; a head that is not kept predicts what the
task asks for (`pretext_tasks.py`): the tracks of simulated clips, or the action in UCF-101. What it
sees of other clips can be kept (`kept_features.py`). Then the normalisation keeps the statistics it
began with: those of a batch would be of another mixture of clips than is scored.

Shapes: B fragments, J outputs.
"""

import dataclasses
import math
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.network import C3DExtractor, FragmentNetwork
from training.choices import Precision
from training.data.augment import Augmentation
from training.display import Bar
from training.learn.arithmetic import trusted_device
from training.learn.device_figures import STEPS_QUEUED, DeviceFigures
from training.learn.extractor_file import write_extractor
from training.learn.first_weights import load_extractor
from training.learn.forward import Device, evaluating, fragment_features
from training.learn.health import Health, HealthState
from training.learn.run_folder import EXTRACTOR, RunFolder, StepLog
from training.learn.schedule import cosine_factor
from training.prefetch import prefetched
from training.pretraining.action_classification import ActionClassification
from training.pretraining.kept_features import FirstFeatures, KeptClips
from training.pretraining.pretext_tasks import FragmentBatch, TrackRegression
from training.pretraining.pretrain_spec import PretrainSpec

PretextTask = TrackRegression | ActionClassification

HIDDEN = 256  # units of the head that is not kept
VALIDATION_FRAGMENTS = 512
REPORT_EVERY = 250  # steps
MAX_GRADIENT = 1.0
COLUMNS = ("loss", "rate")
CHANGE = "change"  # of the kept features: a column only where there are such


class PretextModel(nn.Module):
    """The extractor, and the head of the pretext task, which is not kept."""

    mean: Tensor

    def __init__(self, spec: PretrainSpec, outputs: int) -> None:
        super().__init__()
        whole = FragmentNetwork(dataclasses.replace(spec.network, fragments_used=(0,)), spec.clip)
        if spec.extractor is not None:
            load_extractor(whole, Path(spec.extractor))
        extractor = whole.extractors[0]
        assert isinstance(extractor, C3DExtractor)
        self.extractor = extractor
        self.head = nn.Sequential(
            nn.Linear(math.prod(whole.fragment_feature_shape), HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, outputs),
        )
        self.register_buffer("mean", whole.mean)

    def features(self, fragments: Tensor, device: Device, *, frozen: bool) -> Tensor:
        return fragment_features(self.extractor, fragments, self.mean, device, frozen=frozen)

    def predict(self, features: Tensor) -> Tensor:
        predicted: Tensor = self.head(features.flatten(1))
        return predicted


class Pretrainer:
    def __init__(
        self,
        spec: PretrainSpec,
        task: PretextTask,
        folder: RunFolder,
        *,
        kept: KeptClips | None = None,
        save_every: float = 60.0,
    ) -> None:
        """Raises RunError for an extractor of another network to start from."""
        self.spec, self.task, self.folder, self.save_every = spec, task, folder, save_every
        self.kept = kept
        torch.manual_seed(spec.seed)
        self.model = PretextModel(spec, task.outputs)
        self._state = folder.load_state("precision")
        precision: Precision = "auto" if self._state is None else self._state["precision"]
        of_kept = () if kept is None else (spec.keep_batch,)
        self.device = trusted_device(
            precision, self.model.extractor, spec.clip, {spec.batch + sum(of_kept)}, of_kept
        )
        self.model.to(self.device.kind)
        self.first = FirstFeatures.of(self.model.extractor, self.model.mean, self.device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), fused=True)
        self.step, self.seconds = 0, 0.0
        self.health = Health(1.0, f"Lower the learning rate (--rate, now {spec.rate:g}).")

    def train(self, bar: Bar) -> Path:
        """Run, or go on, to the end; the extractor's file, in the run's folder."""
        state, self._state = self._state, None
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
            self.health.state = HealthState(**state["health"])
        held = validation_batches(self.spec, self.task, self.kept)
        columns = COLUMNS if self.kept is None else (*COLUMNS, CHANGE)
        saved = asked = time.monotonic()
        with StepLog(self.folder.path / "log.csv", columns, self.step) as log:
            begun: deque[tuple[int, float, DeviceFigures]] = deque()

            def note(left: int) -> dict[str, float]:
                """Log steps whose figures are not read, until so many are left; the last loss."""
                shown: dict[str, float] = {}
                while len(begun) > left:
                    number, rate, made = begun.popleft()
                    figures = made.read()
                    figures["rate"] = rate
                    shown = {name: figures[name] for name in columns}
                    log.write(number, shown)
                    fit = {"fit": figures["loss"], "gradient": figures["gradient"]}
                    self.health.after_step(number, fit)
                return shown

            for batch in random_batches(self.spec, self.task, self.kept, self.step):
                rate, made = self._update(batch)
                self.step += 1
                begun.append((self.step, rate, made))
                shown = note(STEPS_QUEUED[self.device.kind])
                now = time.monotonic()
                self.seconds += now - asked
                speed = {"fragments_per_s": self.spec.batch / (now - asked)}
                bar.update(self.step, self.spec.steps, phase="pretrain", figures=shown | speed)
                done = self.step == self.spec.steps
                if done or self.step % REPORT_EVERY == 0:
                    note(0)
                    validated = self.validate(held)
                    text = "  ".join(f"{name} {value:.3f}" for name, value in validated.items())
                    bar.log(f"step {self.step}: {self.task.measure} {text}")
                if done or now - saved >= self.save_every:
                    note(0)
                    self._save()
                    saved = now
                asked = time.monotonic()
        return self.folder.path / EXTRACTOR

    def _update(self, batch: FragmentBatch) -> tuple[float, DeviceFigures]:
        """-> the learning rate, and figures for the log and for `Health`."""
        spec = self.spec
        rate = spec.rate * cosine_factor(self.step, spec.steps, warmup=spec.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        predicted, change = self._forward(batch, frozen=self.kept is not None)
        loss = self.task.loss(predicted, self.device.put(batch.targets))
        self.optimiser.zero_grad(set_to_none=True)
        (loss + spec.keep_weight * change).backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT)
        self.optimiser.step()
        return rate, DeviceFigures({"loss": loss, "gradient": norm, CHANGE: change})

    def _forward(self, batch: FragmentBatch, *, frozen: bool) -> tuple[Tensor, Tensor]:
        """-> the task's outputs, (B, J), and how much kept features have changed, (), else 0"""
        fragments, count = self.device.put(batch.fragments), len(batch.fragments)
        if batch.kept is None:
            features = self.model.features(fragments, self.device, frozen=frozen)
            return self.model.predict(features), features.new_zeros(())
        kept = self.device.put(batch.kept)
        features = self.model.features(torch.cat([fragments, kept]), self.device, frozen=frozen)
        return self.model.predict(features[:count]), self.first.change(features[count:], kept)

    def _save(self) -> None:
        """The state, and the extractor as it is now: a run may be given up."""
        weights = self.model.extractor.state_dict()
        write_extractor(self.folder.path / EXTRACTOR, weights, self.spec.clip, clips=self.task.seen)
        self.folder.save_state(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "precision": self.device.precision,
                "step": self.step,
                "seconds": self.seconds,
                "health": dataclasses.asdict(self.health.state),
            }
        )

    def validate(self, held: list[FragmentBatch]) -> dict[str, float]:
        """The task's figures on validation fragments.   Raises RunError where all are alike."""
        with evaluating(self.model):
            made = [self._forward(batch, frozen=True) for batch in held]
        predicted = torch.cat([outputs for outputs, _ in made])
        last = self.step == self.spec.steps
        self.health.after_validation(self.step, predicted.cpu().numpy(), last=last)
        wanted = torch.cat([batch.targets for batch in held]).to(self.device.kind)
        figures = self.task.figures(predicted, wanted)
        if self.kept is not None:
            figures["kept"] = 1 - float(torch.stack([change for _, change in made]).mean())
        return figures


def random_batches(
    spec: PretrainSpec, task: PretextTask, kept: KeptClips | None, first: int
) -> Iterator[FragmentBatch]:
    """The batches from step `first` on, each made while the one before is used."""

    def make(step: int) -> FragmentBatch:
        random = np.random.default_rng([spec.seed, step])
        batch = task.batch(random.choice(task.training, spec.batch), random, spec.augmentation)
        if kept is None:
            return batch
        clips = random.choice(kept.dataset.training, spec.keep_batch)
        return dataclasses.replace(batch, kept=kept.batch(clips, random, spec.augmentation))

    return prefetched(make, range(first, spec.steps))


def validation_batches(
    spec: PretrainSpec, task: PretextTask, kept: KeptClips | None
) -> list[FragmentBatch]:
    random = np.random.default_rng([spec.seed, spec.steps, 1])
    parts = max(1, VALIDATION_FRAGMENTS // spec.batch)

    def divided(clips: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(random.choice(clips, VALIDATION_FRAGMENTS), parts)

    batches = [task.batch(part, random, Augmentation()) for part in divided(task.validation)]
    if kept is None:
        return batches
    others = [kept.batch(part, random, Augmentation()) for part in divided(kept.dataset.validation)]
    return [
        dataclasses.replace(batch, kept=part) for batch, part in zip(batches, others, strict=True)
    ]
