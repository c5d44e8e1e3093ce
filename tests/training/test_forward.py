"""The forward pass of training against the network that is published."""

import pytest
import torch

from model_store.network import FragmentNetwork
from tests.training.bright import SPEC, TINY
from training.forward import Device, blank_features, features_by_fragment, join

REFERENCE = Device("cpu", torch.float32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = FragmentNetwork(TINY, SPEC)
    network(pixels(6))  # so that running statistics are not those of a new network
    return network.eval()


def pixels(clips=3):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(1, 256, (clips, 2, 16, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_what_is_shown_and_hidden_is_what_the_service_computes(network):
    shown = torch.tensor([[True, True], [False, True], [False, False]])
    fragments = pixels()
    blanked = torch.where(shown[:, :, None, None, None, None], fragments, 0).to(torch.uint8)
    with torch.no_grad():
        expected = network.features(blanked)
        got = features_by_fragment(network, fragments, shown, REFERENCE, frozen=True)
        torch.testing.assert_close(join(got), expected)
        torch.testing.assert_close(network.head(join(got)), network(blanked))
        torch.testing.assert_close(blank_features(network, REFERENCE), got[2])


def test_hidden_fragments_do_not_enter_the_statistics(network):
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


def test_gradients_reach_every_extractor_also_through_blank_features(network):
    shown = torch.tensor([[True, False], [True, True], [False, False]])
    features_by_fragment(network, pixels(), shown, REFERENCE, frozen=True).square().sum().backward()
    for name, parameter in network.extractors.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()
