"""The fast pass against the published network, in double precision and in half."""

import copy

import pytest
import torch
from torch import Tensor

from model_store.network import C3DExtractor, initialise
from training.fast_extractor import extract, max_pool

MEAN = torch.tensor([101.0, 97.0, 90.0])


def extractor(normalisation: str, dtype: torch.dtype = torch.float64) -> C3DExtractor:
    torch.manual_seed(0)
    made = C3DExtractor(1 / 16, normalisation).apply(initialise).to(dtype)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.weight.data.normal_()  # some negative
            module.bias.data.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return made


def pixels(count: int = 2, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (count, 16, size, size, 3)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def plain(network: C3DExtractor, fragments: Tensor) -> Tensor:
    dtype = network.conv1a.weight.dtype
    return network(fragments.permute(0, 4, 1, 2, 3).to(dtype) - MEAN.view(3, 1, 1, 1).to(dtype))


@pytest.mark.parametrize("size", [32, 48, 56])  # 56 halves to 7: odd, and padded at the end
@pytest.mark.parametrize(
    ("normalisation", "frozen"), [("none", True), ("batch", True), ("batch", False)]
)
def test_values_gradients_and_statistics_are_the_networks(normalisation, frozen, size):
    reference = extractor(normalisation).train(not frozen)
    fast = copy.deepcopy(reference)
    fragments = pixels(size=size)
    expected = plain(reference, fragments)
    got = extract(fast, fragments, MEAN.double(), frozen=frozen, dtype=torch.float64)
    torch.testing.assert_close(got, expected)

    pull = torch.randn(expected.shape, dtype=torch.float64)
    expected.backward(pull)
    got.backward(pull)
    for (name, a), b in zip(reference.named_parameters(), fast.parameters(), strict=True):
        if b.grad is None:  # under batch statistics a bias has no effect
            assert name.endswith("a.bias") or name.endswith("b.bias")
            assert normalisation == "batch"
            assert not frozen
            assert a.grad.abs().max() < 1e-9
        else:
            torch.testing.assert_close(b.grad, a.grad)
    for a, b in zip(reference.buffers(), fast.buffers(), strict=True):
        torch.testing.assert_close(b, a)


@pytest.mark.parametrize("frozen", [True, False])
def test_half_precision_stays_close(frozen):
    network = extractor("batch", torch.float32).train(not frozen)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.reset_parameters()
    expected = plain(copy.deepcopy(network), pixels(8))
    got = extract(network, pixels(8), MEAN, frozen=frozen, dtype=torch.bfloat16)
    assert got.dtype == torch.bfloat16
    difference = (got.float() - expected).norm() / expected.norm()
    assert difference < 0.05


def test_the_gradient_of_equal_values_is_given_once():
    flat = torch.ones(1, 2, 4, 4, 3, requires_grad=True)
    max_pool(flat, ((2, 2, 2), 0)).sum().backward()
    assert flat.grad.sum() == 2 * 2 * 3  # as many as the pool has outputs
    assert set(flat.grad.unique().tolist()) == {0.0, 1.0}
