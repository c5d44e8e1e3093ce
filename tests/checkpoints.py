"""Small checkpoints with random weights, written and read back by the real code."""

import dataclasses
import functools
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from model_store.card import Card, ClipsCard, DataCard, TrainingCard
from model_store.checkpoint import verified_files, write_folder
from model_store.clip import ClipWarning
from model_store.confidence import Confidence, Uncertainty
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
        if built.head.other is not None:
            let_gate_differ(built, pixels)
    for output in range(len(network.outputs)):  # an execution is the smaller number
        built.head.baseline[output] = baseline / (1 + 2 * output)
    return built.eval()


def let_gate_differ(network: FragmentNetwork, pixels: torch.Tensor) -> None:
    """Another kind's line, and a gate that stands half open for these clips."""
    other = network.head.other
    assert other is not None
    with torch.no_grad():
        other.difference.normal_()
        other.constant.normal_()
        other.gate.normal_()
        logits = network.features(pixels).flatten(1) @ other.gate.flatten()
        other.gate.div_(logits.std())
        other.threshold.fill_(float(logits.mean() / logits.std()))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def tiny_confidence(network: FragmentNetwork) -> Confidence:
    """Intervals of ± 2 points that are wide, and of an execution beside them ± 0.5 that are not."""
    channels, features = network.fragment_feature_shape[0], len(network.used)
    size = channels * features

    def uncertainty(half: float, limit: float) -> Uncertainty:
        return Uncertainty(
            coverage=0.9,
            quantile=half,
            width_limit=limit,
            spread_range=(1.0, 1.0),
            spread_weights=np.zeros(3, np.float32),
        )

    each = (uncertainty(2.0, 3.0), uncertainty(0.5, 2.0))
    outputs = network.network_spec.outputs
    return Confidence(
        distance_limit=1e6,
        mean=np.zeros(size, np.float32),
        whitening=np.eye(size, dtype=np.float32),
        outputs=dict(zip(outputs, each, strict=False)),
    )


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
        moved_by={ClipWarning.INTERLACED: 0.5},
        calibration=None,
        versions={"torch": torch.__version__},
    )


@functools.cache
def tiny_files(
    action: str,
    seed: int,
    target: Target,
    used: tuple[int, ...] | None,
    calibrated: bool,
    version: int,
) -> dict[str, bytes]:
    """What `Store.publish` writes of a tiny checkpoint, by file name."""
    spec = tiny_spec(action)
    shape = dataclasses.replace(TINY, target=target, fragments_used=used)
    network = tiny_network(spec, shape, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        published = Store(Path(folder)).publish(
            tiny_card(spec, shape, version=version),
            network,
            golden_clip=clip_bytes(frames=spec.frames, height=48, width=64),
            readme="Random weights, for tests.\n",
            confidence=tiny_confidence(network) if calibrated else None,
        )
        return verified_files(published.path)


def publish_tiny(
    store: Store,
    action: str = "diving",
    *,
    seed: int = 0,
    target: Target = "final",
    used: tuple[int, ...] | None = None,
    calibrated: bool = False,
) -> None:
    """The same checkpoint is published once a process, and written wherever it is wanted.

    One that sees but the fragments `used` takes as much less time.
    """
    version = store.next_version(action)
    files = tiny_files(action, seed, target, used, calibrated, version)
    write_folder(store.root / action / str(version), files)
    store.make_current(action, version)


def tiny_store(root: Path) -> Store:
    """A store with a diving and a vault checkpoint."""
    store = Store(root)
    publish_tiny(store, "diving")
    publish_tiny(store, "vault")
    return store
