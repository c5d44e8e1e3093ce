"""Fits the finder of one action."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from model_store.files import replacing
from model_store.finding.features import Floats, features_of
from model_store.finding.finder import Finder
from training.errors import RunError
from training.finding.network import FinderNetwork
from training.finding.recordings import Recording
from training.finding.samples import Samples

LENGTHS = {"diving": (70, 151), "vault": (70, 100)}
"""Frames of the shortest and of the longest routine."""
BATCH = 4  # samples a step
RATE = 4e-3
DECAY = 1e-2
MOST = 0.95  # of routines, and of other things, that the threshold is to tell apart
_SEEN_FIRST = 60  # samples from which features are standardised
_LARGEST_STEP = 2.0


def fit(
    action: str,
    recordings: Sequence[Recording],
    clips: Sequence[Floats],
    *,
    steps: int,
    seed: int,
    on_step: Callable[[int, int, Mapping[str, float]], None] = lambda done, of, figures: None,
) -> FinderNetwork:
    """From recordings, and the parts (N, G, G, 3) of cut clips where there are any."""
    samples = Samples(recordings, clips, np.random.default_rng(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = FinderNetwork(*LENGTHS[action])
        first = [samples.draw(network.longest).parts for _ in range(_SEEN_FIRST)]
        network.standardise(torch.from_numpy(np.concatenate([*map(features_of, first)])))
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for step in range(steps):
            total = 0.0
            optimiser.zero_grad()
            for _ in range(BATCH):
                sample = samples.draw(network.longest)
                features = torch.from_numpy(features_of(sample.parts))
                loss = network.loss(features, sample.routines) / BATCH
                loss.backward()
                total += float(loss.detach())
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_STEP)
            optimiser.step()
            schedule.step()
            on_step(step + 1, steps, {"loss": total})
    return network.eval()


def threshold(finder: Finder, recordings: Sequence[Recording]) -> float:
    """Log-odds halfway between those of most routines and those of most other things.

    Of recordings that the finder was not fitted on; other things are what precedes their routines.
    """
    routines, others = [], []
    for recording in recordings:
        routines.append(finder.choose(recording.parts).log_odds)
        before = min(shown.start for shown in recording.routines)
        if before >= finder.prior.shortest:
            others.append(finder.choose(recording.parts[:before]).log_odds)
    if not others:
        raise RunError("no recording has anything before its routine, need more for a threshold")
    low, high = np.quantile(routines, 1 - MOST), np.quantile(others, MOST)
    return float((low + high) / 2)


def write(network: FinderNetwork, path: Path, about: Mapping[str, str]) -> None:
    """`about` is kept in the file: how the finder was made."""
    with replacing(path) as partial:
        save_file(network.arrays(), partial, metadata={"about": json.dumps(dict(about))})
