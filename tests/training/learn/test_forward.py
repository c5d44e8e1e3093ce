"""The forward pass of training against the network that is published."""

import copy

import pytest
import torch
from torch import Tensor

from model_store.network import C3DExtractor, FragmentNetwork, initialise
from tests.training.bright import SPEC, TINY
from training.learn.forward import (
    Device,
    blank_features,
    centred,
    features_by_fragment,
    folded,
    fragment_features,
    join,
)

REFERENCE = Device("cpu", torch.float32)


@pytest.fixture
def network() -> FragmentNetwork:
    torch.manual_seed(0)
    network = FragmentNetwork(TINY, SPEC)
    network(pixels(6))  # so that running statistics are not those of a new network
    return network.eval()


def pixels(clips: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(1, 256, (clips, 2, 16, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_what_is_shown_and_hidden_is_what_the_service_computes(network: FragmentNetwork) -> None:
    shown = torch.tensor([[True, True], [False, True], [False, False]])
    fragments = pixels()
    blanked = torch.where(shown[:, :, None, None, None, None], fragments, 0).to(torch.uint8)
    with torch.no_grad():
        expected = network.features(blanked)
        got = features_by_fragment(network, fragments, shown, REFERENCE, frozen=True)
        torch.testing.assert_close(join(got), expected)
        torch.testing.assert_close(network.head(join(got)), network(blanked))
        torch.testing.assert_close(blank_features(network, REFERENCE), got[2])


def test_hidden_fragments_do_not_enter_the_statistics(network: FragmentNetwork) -> None:
    network.train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    shown = torch.tensor([[True, False], [True, False], [True, False]])
    features = features_by_fragment(network, pixels(), shown, REFERENCE, frozen=False)
    for name, buffer in network.extractors[1].named_buffers():
        assert torch.equal(buffer, before[f"extractors.1.{name}"])
    assert not torch.equal(
        network.extractors[0].get_buffer("conv1a_norm.running_mean"),
        before["extractors.0.conv1a_norm.running_mean"],
    )
    assert torch.equal(features[0, 1], features[1, 1])
    assert not torch.equal(features[0, 0], features[1, 0])


def test_gradients_reach_every_extractor_also_through_blank_features(
    network: FragmentNetwork,
) -> None:
    shown = torch.tensor([[True, False], [True, True], [False, False]])
    features_by_fragment(network, pixels(), shown, REFERENCE, frozen=True).square().sum().backward()
    for name, parameter in network.extractors.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_frozen_normalisation_is_folded_with_its_gradients(normalisation: str) -> None:
    torch.manual_seed(0)
    reference = C3DExtractor(1 / 16, normalisation).apply(initialise).double().eval()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.weight.data.normal_()  # some negative
            module.bias.data.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    ours = copy.deepcopy(reference)
    x = centred(pixels()[:, 0], torch.tensor(SPEC.mean).double().view(3, 1, 1, 1))
    expected, got = reference(x), folded(ours, x)
    torch.testing.assert_close(got, expected)
    pull = torch.randn_like(expected)
    expected.backward(pull)
    got.backward(pull)
    for a, b in zip(reference.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad)
    for a, b in zip(reference.buffers(), ours.buffers(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("frozen", [True, False])
def test_half_precision_stays_close(network: FragmentNetwork, frozen: bool) -> None:
    extractor, half = network.extractors[0], Device("cpu", torch.bfloat16)
    fragments = pixels(8)[:, 0]
    with torch.no_grad():
        expected, got = (
            fragment_features(extractor, fragments, network.mean, device, frozen=frozen)
            for device in (REFERENCE, half)
        )
    assert got.dtype == torch.float32
    assert 0 < (got - expected).norm() / expected.norm() < 0.05
