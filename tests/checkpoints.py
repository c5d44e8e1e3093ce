"""Small checkpoints with random weights, written and read back by the real code."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import torch

from model_store.card import Card, ClipsCard, DataCard, TrainingCard
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT, NetworkSpec, Target
from model_store.spec import SPECS, ClipSpec
from model_store.store import Store
from tests.clips import clip_bytes

TINY = dataclasses.replace(
    COMPACT, width=1 / 32, head_channels=(4, 4), head_hidden=(8, 8), dropout=0.0
)
SIZE = (32, 32)


def tiny_spec(action: str = "diving") -> ClipSpec:
    return SPECS[action].with_size(SIZE, SIZE)


def tiny_network(
    spec: ClipSpec, network: NetworkSpec = TINY, *, seed: int = 0, baseline: float = 70.0
) -> FragmentNetwork:
    """Random weights, batch statistics of random pixels, and scores that vary by points."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = FragmentNetwork(network, spec)
        pixels = torch.randint(
            256, (4, spec.fragments, spec.fragment_length, *spec.crop, 3), dtype=torch.uint8
        )
        for module in built.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.momentum = 1.0  # the running statistics are those of the one batch below
        built.train()(pixels)
        built.head.out.bias.data.fill_(0.37)  # new networks have 0 there: a lost bias would hide
        if built.head.readout is not None:
            built.head.readout.data.normal_()
    built.head.baseline.fill_(baseline)
    return built.eval()


def tiny_card(spec: ClipSpec, network: NetworkSpec = TINY, *, version: int = 1) -> Card:
    return Card(
        name=spec.action,
        version=version,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        spec=spec,
        network=network,
        stage_of_fragment=[spec.stages[0] if spec.stages else None] * spec.fragments,
        data=DataCard(
            trained_on="simulated",
            description="random weights, for tests",
            licence="none",
            judged_mean=70.0,
            judged_deviation=10.0,
        ),
        training=TrainingCard(commands=[], seed=0, hours=0.0, machine="none", options={}),
        splits={"train": 0},
        clips=ClipsCard.of(),
        metrics={},
        calibration=None,
        versions={"torch": torch.__version__},
    )


def publish_tiny(
    store: Store, action: str = "diving", *, seed: int = 0, target: Target = "final"
) -> None:
    spec, network = tiny_spec(action), dataclasses.replace(TINY, target=target)
    store.publish(
        tiny_card(spec, network, version=store.next_version(action)),
        tiny_network(spec, network, seed=seed),
        golden_clip=clip_bytes(frames=spec.frames, height=48, width=64),
        readme="Random weights, for tests.\n",
    )


def tiny_store(root: Path) -> Store:
    """A store with a diving and a vault checkpoint."""
    store = Store(root)
    publish_tiny(store, "diving")
    publish_tiny(store, "vault")
    return store
