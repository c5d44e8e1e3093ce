"""Training of the whole network: extractors and head together, by the losses of [Li18]."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.network import C3DExtractor, FragmentNetwork
from training.data.batches import Batch, Variation, fitting, full
from training.distributed import Processes
from training.errors import RunError
from training.learn.learner import Learner, Predictions
from training.learn.run_spec import RunSpec

VALIDATION_BATCH = 32
LEAST_CLIPS = 2  # of a micro-batch: a ranking needs a pair, batch statistics a spread


class WholePhase:
    name = "all"

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        run, network = learner.run, learner.network
        self.processes, self.auxiliary = learner.processes, learner.auxiliary
        self.epochs, self.accumulate = run.epochs, run.accumulate
        self.steps = steps_an_epoch(run, len(learner.dataset.training), learner.processes)
        self.groups = [
            {"params": learning(network, run.frozen_layers), "base": run.extractor_rate},
            {"params": list(network.head.parameters()), "base": run.rate},
        ]
        if self.auxiliary is not None:
            self.groups.append({"params": list(self.auxiliary.parameters()), "base": run.rate})

    def micro_batches(self, epoch: int, first: int) -> Iterator[Batch]:
        run = self.learner.run
        batches = self.learner.batches(
            self.learner.dataset.training,
            self.steps * self.accumulate,
            variation=Variation(
                shift=run.shift, blanking=run.blanking, augmentation=run.augmentation
            ),
            seed=run.seed,
            epoch=epoch,
            processes=self.processes,
        )
        return batches.begin_at(first)

    def features(self, batch: Batch) -> Tensor:
        network, frozen = self.learner.network.train(), self.learner.run.frozen_norm
        if frozen:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()
        return self.learner.features(batch, frozen=frozen)

    def auxiliary_targets(self, batch: Batch) -> Tensor:
        dataset, device = self.learner.dataset, self.learner.device.kind
        if self.auxiliary is None:
            return torch.zeros(0, device=device)
        targets, length = dataset.targets, dataset.spec.fragment_length
        used = self.learner.network.used
        known = np.full((len(batch.clips), len(used), targets.size), np.nan, np.float32)
        for row, (clip, draw) in enumerate(zip(batch.clips, batch.draws, strict=True)):
            first = targets.first_frame(int(clip), draw.start)
            for i, k in enumerate(used):
                if batch.shown[row, k]:
                    known[row, i] = targets.at(int(clip), first + k * length, draw.look)
        scaled: Tensor = self.auxiliary.scale(self.learner.device.put(torch.from_numpy(known)))
        return scaled.flatten(0, 1)

    def predict(self, clips: NDArray[np.int64]) -> Predictions:
        learner, count = self.learner, full(len(clips), VALIDATION_BATCH)
        return learner.predict(
            (
                learner.features(batch, frozen=True)
                for batch in learner.batches(clips, count, variation=Variation.of(view))
            )
            for view in learner.views
        )


def steps_an_epoch(run: RunSpec, clips: int, processes: Processes) -> int:
    """Of all clips, in batches that leave enough of them.   Raises RunError for too few clips."""
    least = LEAST_CLIPS * processes.count * run.accumulate
    if clips < least:
        raise RunError(
            f"{clips} training clips, need {least} for a step of {processes.count}"
            f" processes and {run.accumulate} micro-batches"
        )
    batch = fitting(run.batch * run.accumulate * processes.count, clips)
    return min(full(clips, batch), clips // least)


def learning(network: FragmentNetwork, frozen_layers: int) -> list[nn.Parameter]:
    """Parameters of the extractors without their first layers, which get no gradient any more."""
    frozen = {
        prefix
        for name, _, _ in C3DExtractor.LAYERS[:frozen_layers]
        for prefix in (name, f"{name}_norm")
    }
    parameters = []
    for name, parameter in network.extractors.named_parameters():  # "0.conv1a.weight"
        parameter.requires_grad_(name.split(".")[1] not in frozen)
        if parameter.requires_grad:
            parameters.append(parameter)
    return parameters
