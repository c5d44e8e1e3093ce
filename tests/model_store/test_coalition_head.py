"""The head on all coalitions against whole forward passes of clips with blanked frames."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model_store.coalition_head import CoalitionHead, Layer
from model_store.contributions import Coalitions
from model_store.network import FragmentNetwork
from model_store.network_spec import NetworkSpec
from model_store.spec import DIVING, ClipSpec
from tests.checkpoints import TINY, let_gate_differ, tiny_network

PLAIN = dataclasses.replace(TINY, normalisation="none")
WIDE = dataclasses.replace(PLAIN, width=1 / 16, head_channels=(48, 40), head_hidden=(96, 64))


def spec_of(fragments: int, length: int = 16, crop: tuple[int, int] = (32, 32)) -> ClipSpec:
    return dataclasses.replace(
        DIVING.with_size(crop, crop),
        fragments=fragments,
        fragment_length=length,
        frames=fragments * length,
    )


def random_network(network: NetworkSpec, spec: ClipSpec) -> FragmentNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FragmentNetwork(network, spec).eval()


def random_clips(spec: ClipSpec, clips: int) -> Tensor:
    shape = (clips, spec.fragments, spec.fragment_length, *spec.crop, 3)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def random_features(network: FragmentNetwork, clips: int) -> Tensor:
    channels, *extent = network.fragment_feature_shape
    shape = (clips, len(network.used), channels, *extent)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).relu()


def features_of(network: FragmentNetwork, clips: Tensor) -> Tensor:
    return torch.stack([network.extract(i, clips[:, k]) for i, k in enumerate(network.used)], dim=1)


def forward_on_blanked(network: FragmentNetwork, clips: Tensor, shown: np.ndarray) -> Tensor:
    """(M, K) -> (B, M): the whole network, once for each coalition and clip."""
    keep = torch.ones(len(shown), network.clip_spec.fragments, dtype=torch.uint8)
    keep[:, network.used] = torch.from_numpy(shown.astype(np.uint8))
    blanked = clips[:, None] * keep[:, :, None, None, None, None]
    return torch.stack([network(each) for each in blanked])


@pytest.mark.parametrize(
    ("fragments", "length"),
    [(1, 16), (2, 16), (6, 16), (3, 48), (2, 100)],
    ids=lambda value: str(value),
)
@torch.inference_mode()
def test_every_coalition_scores_as_the_blanked_clip_does(fragments: int, length: int) -> None:
    spec = spec_of(fragments, length)
    network = tiny_network(spec, seed=3) if length == 16 else random_network(PLAIN, spec)
    clips = random_clips(spec, 2)
    shown = Coalitions.all(fragments).shown
    scores = CoalitionHead(network.folded(), shown)(features_of(network, clips))
    expected = forward_on_blanked(network, clips, shown)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-3)
    assert expected.std(dim=1).min() > 0.02


@pytest.mark.parametrize("crop", [(112, 112), (64, 96), (32, 32)])
@torch.inference_mode()
def test_a_wide_head_on_all_512(crop: tuple[int, int]) -> None:
    network = random_network(WIDE, spec_of(9, crop=crop))
    blank, features = network.blank_features(), random_features(network, 2)
    shown = Coalitions.all(9).shown
    scores = CoalitionHead(network, shown)(features)
    for clip, answers in zip(features, scores, strict=True):
        mixed = torch.where(torch.from_numpy(shown)[..., None, None, None, None], clip, blank)
        expected = network.head(mixed.transpose(1, 2).flatten(2, 3))
        torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-3)
        assert expected.std() > 0.05


@torch.inference_mode()
def test_a_sample_of_coalitions_of_many_fragments() -> None:
    spec = spec_of(12)
    network = random_network(PLAIN, spec)
    shown = Coalitions.sampled(12, pairs=3).shown
    clips = random_clips(spec, 1)
    scores = CoalitionHead(network, shown)(features_of(network, clips))
    expected = forward_on_blanked(network, clips, shown)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-3)
    assert expected.std() > 0.02


@pytest.mark.parametrize("length", [16, 48])
@torch.inference_mode()
def test_a_linear_path_beside_the_layers(length: int) -> None:
    spec = spec_of(4, length)
    network = random_network(
        dataclasses.replace(PLAIN, readout=True, fragments_used=(0, 2, 3)), spec
    )
    clips = random_clips(spec, 2)
    shown = Coalitions.all(3).shown
    before = forward_on_blanked(network, clips, shown)
    assert network.head.readout is not None
    network.head.readout.normal_(generator=torch.Generator().manual_seed(4))
    expected = forward_on_blanked(network, clips, shown)
    scores = CoalitionHead(network, shown)(features_of(network, clips))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
    assert (expected - before).std() > 0.02


@pytest.mark.parametrize("length", [16, 48])
@torch.inference_mode()
def test_another_kind_of_clips_has_a_line_and_a_gate(length: int) -> None:
    spec = spec_of(4, length)
    shape = dataclasses.replace(PLAIN, readout=True, other_kind=True, fragments_used=(0, 2, 3))
    network = random_network(shape, spec)
    clips = random_clips(spec, 2)
    let_gate_differ(network, clips)
    shown = Coalitions.all(3).shown
    expected = forward_on_blanked(network, clips, shown)
    scores = CoalitionHead(network, shown)(features_of(network, clips))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
    other = network.head.other
    assert other is not None
    for threshold in (-100.0, 100.0):  # open, and closed
        other.threshold.fill_(threshold)
        assert (expected - forward_on_blanked(network, clips, shown)).std() > 0.02


def test_only_a_folded_network_will_do() -> None:
    with pytest.raises(ValueError, match="folded"):
        CoalitionHead(tiny_network(spec_of(2)), Coalitions.all(2).shown)


@pytest.mark.parametrize(("fragments", "frames"), [(9, 1), (6, 1), (4, 3), (9, 6), (1, 1), (2, 2)])
def test_positions_see_the_fragments_that_reach_them(fragments: int, frames: int) -> None:
    # Kernels of ones and no negative numbers: a position is above 0 where it sees the fragment.
    owner = np.arange(fragments).repeat(frames)
    x = torch.from_numpy(np.eye(fragments)[:, owner]).float().view(fragments, 1, -1, 1, 1)
    below = np.eye(fragments, dtype=bool)[owner]
    for stride in (1, 2, 1, 2):
        pool = stride == 2
        x = F.max_pool3d(x, 3, 2, 1) if pool else F.conv3d(x, torch.ones(1, 1, 3, 3, 3), padding=1)
        below = Layer.over(below, Coalitions.all(fragments).shown, stride=stride).seen
        np.testing.assert_array_equal(below, (x.flatten(1) > 0).numpy().T)


def test_a_position_of_a_dive_has_at_most_32_patterns() -> None:
    coalitions = Coalitions.all(9).shown
    first = Layer.over(np.eye(9, dtype=bool), coalitions)
    pool = Layer.over(first.seen, coalitions, stride=2)
    assert np.bincount(pool.position).tolist() == [8, 32, 32, 32, 8]
    assert pool.seen.sum(axis=1).tolist() == [3, 5, 5, 5, 3]
    shows = coalitions[pool.coalition[pool.row]] & pool.seen[:, None]
    np.testing.assert_array_equal(shows, coalitions & pool.seen[:, None])
