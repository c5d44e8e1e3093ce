"""Where a run begins: extractors, a published checkpoint, the scale of the scores."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import ClipSpec
from model_store.store import Store
from tests.checkpoints import tiny_card, tiny_network
from tests.clips import clip_bytes
from tests.training.bright import (
    TINY,
    dataset_of,
)
from training.errors import RunError
from training.learn.first_weights import bring_to_scale, load_extractor, new_network
from training.learn.run_folder import RunFolder
from training.learn.run_spec import PRESETS, RunSpec
from training.learn.trainer import Trainer
from training.learn.whole_phase import WholePhase


def test_one_extractor_goes_into_every_fragment(run: RunSpec, tmp_path: Path) -> None:
    network = FragmentNetwork(run.network, run.clip)
    weights = {
        n: torch.randn_like(t.float()) for n, t in network.extractors[0].state_dict().items()
    }
    weights = {n: t.long() if n.endswith("tracked") else t for n, t in weights.items()}
    save_file(weights, tmp_path / "extractor.safetensors")
    load_extractor(network, tmp_path / "extractor.safetensors")
    for extractor in network.extractors:
        for name, tensor in extractor.state_dict().items():
            assert torch.equal(tensor, weights[name])
    weights.pop("conv1a.weight")
    save_file(weights, tmp_path / "short.safetensors")
    for name in ("short.safetensors", "missing.safetensors"):
        with pytest.raises(RunError, match="not an extractor"):
            load_extractor(network, tmp_path / name)


def test_a_run_goes_on_from_a_published_checkpoint(run: RunSpec, tmp_path: Path) -> None:
    network = tiny_network(run.clip, run.network)
    base = Store(tmp_path / "store").publish(
        tiny_card(run.clip, run.network),
        network,
        golden_clip=clip_bytes(frames=36, height=48, width=64),
        readme="",
        half=False,
    )
    begun = new_network(run, dataset_of(run), base).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(begun[name], tensor), name

    last = dataclasses.replace(
        run, network=dataclasses.replace(TINY, fragments_used=(1,)), base="x@1", new_head=True
    )
    fewer = new_network(last, dataset_of(run), base)
    for name, tensor in fewer.extractors[0].state_dict().items():
        assert torch.equal(tensor, network.extractors[1].state_dict()[name]), name
    assert fewer.head.baseline != network.head.baseline
    with pytest.raises(RunError, match="another network"):
        new_network(dataclasses.replace(last, new_head=False), dataset_of(run), base)

    wider = dataclasses.replace(run, network=dataclasses.replace(TINY, head_channels=(5, 4)))
    padded = dataclasses.replace(run, clip=dataclasses.replace(run.clip, pad="start"))
    for other, message in ((wider, "another network"), (padded, "sees clips of")):
        with pytest.raises(RunError, match=message):
            new_network(other, dataset_of(run), base)


@pytest.mark.parametrize("raised", [1.0, 3.0])
def test_the_first_predictions_are_on_the_scale_of_the_scores(
    bright: Path, spec: ClipSpec, tmp_path: Path, raised: float
) -> None:
    """Whatever random extractors make of the pixels without normalisation."""
    network = dataclasses.replace(PAPER, width=1 / 32, head_hidden=(64, 64), dropout=0.5)
    run = RunSpec(
        **PRESETS["paper"]
        | {"data": (str(bright),), "clip": spec, "network": network, "validation": 0.2, "epochs": 1}
    )
    dataset = dataset_of(run)
    trainer = Trainer(run, dataset, RunFolder(tmp_path / "run"))
    with torch.no_grad():
        for extractor in trainer.learner.network.extractors:
            extractor.get_parameter("conv1a.weight").mul_(raised * 1e3)
    phase = WholePhase(trainer.learner)
    bring_to_scale(trainer.learner, phase)
    torch.manual_seed(0)
    with torch.no_grad():
        features = [phase.features(batch) for batch in phase.micro_batches(0, 0)]
        predicted = torch.cat([trainer.learner.score(each) for each in features])
    stray = (predicted - dataset.mean).square().mean().sqrt().item()
    assert 0.2 * dataset.deviation < stray < 2 * dataset.deviation
