"""The device of a run, and the precision that agrees with float32 on all its batches there."""

import dataclasses

import torch

from model_store.network import FragmentNetwork
from training.choices import Precision
from training.data.batches import batch_sizes, full
from training.data.clip_dataset import ClipDataset
from training.display import warn
from training.distributed import Processes
from training.learn.arithmetic import trusted_device
from training.learn.forward import Device
from training.learn.frozen_features import BATCH as FEATURES_BATCH
from training.learn.run_spec import RunSpec
from training.learn.whole_phase import VALIDATION_BATCH, steps_an_epoch


def device_of_run(
    precision: Precision,
    run: RunSpec,
    dataset: ClipDataset,
    network: FragmentNetwork,
    processes: Processes,
    *,
    has_whole_phase: bool,
) -> Device:
    """The same in all processes."""
    with_gradient, without_gradient = set[int](), set[int]()
    if has_whole_phase:
        training, validation = len(dataset.training), len(dataset.validation)
        micro_batches = steps_an_epoch(run, training, processes) * run.accumulate
        sizes = batch_sizes(training, micro_batches * processes.count)
        with_gradient |= {size * (len(network.used) if run.tied else 1) for size in sizes}
        if validation:
            without_gradient |= {*batch_sizes(validation, full(validation, VALIDATION_BATCH))}
    if run.base or run.extractor or run.head_epochs or run.folds:
        clips = len(dataset.clips)
        without_gradient |= {*batch_sizes(clips, full(clips, FEATURES_BATCH))}
    device = trusted_device(
        precision, network.extractors[0], run.clip, with_gradient, without_gradient
    )
    exact = dataclasses.replace(device, dtype=torch.float32)
    if not processes.any(device == exact):
        return device
    if device != exact:
        warn("another process computes in float32, so all do")
    return exact
