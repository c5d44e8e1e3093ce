"""Several views of a clip: their mean is the score, and contributions still add up to it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.clip import cut
from model_store.contributions import shapley
from model_store.engines import EngineName, make_engine
from model_store.errors import SpecError
from model_store.network import FragmentNetwork
from model_store.spec import DIVING, SKATING, VAULT, View
from tests.checkpoints import TINY, tiny_network, tiny_spec
from tests.clips import Frames

Floats = NDArray[np.float32]
VIEWS = 3


@pytest.fixture(scope="module")
def network() -> FragmentNetwork:
    shape = dataclasses.replace(TINY, target="both", readout=True, other_kind=True, views=VIEWS)
    return tiny_network(tiny_spec("vault"), shape, seed=5)


@pytest.fixture(scope="module")
def clips(network: FragmentNetwork) -> Frames:
    spec = network.clip_spec
    shape = (2, spec.frames, *spec.crop, 3)
    clips = np.random.default_rng(1).integers(1, 256, shape, dtype=np.uint8)
    length = spec.fragment_length
    clips[0, : length + spec.slack] = 0  # the first fragment is blank in every view
    clips[1, : length + 1] = 0  # the first one is blank in the first view alone
    return clips


@torch.inference_mode()
def brute_force(network: FragmentNetwork, clip: Frames, coalitions: NDArray[np.bool_]) -> Floats:
    """(M, K) fragments that are shown -> (M, O): whole passes over each view of the clip."""
    spec, answers = network.clip_spec, []
    for start, mirrored in spec.views(VIEWS):
        fragments = cut(clip[None], spec, start)
        fragments = fragments[..., ::-1, :] if mirrored else fragments
        shown = np.where(coalitions[:, :, None, None, None, None], fragments, np.uint8(0))
        answers.append(network(torch.from_numpy(shown)).numpy())
    return np.mean(answers, axis=0)  # type: ignore[no-any-return]


def test_starts_are_spread_over_the_room_and_every_second_view_is_mirrored() -> None:
    assert DIVING.views(1) == (View(0, False),)
    assert DIVING.views(4) == ((0, False), (2, True), (5, False), (7, True))
    assert dataclasses.replace(VAULT, start=4).views(2) == ((4, False), (0, True))
    assert SKATING.views(2) == ((0, False), (0, True))
    with pytest.raises(SpecError, match="views are 0"):
        dataclasses.replace(TINY, views=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("converted")


@pytest.mark.parametrize(
    ("name", "threads"),
    [("torch", None), ("openvino", None), ("openvino", 1), ("openvino", 2), ("openvino", 5)],
)
def test_an_answer_is_the_mean_of_the_views(
    name: EngineName, threads: int | None, network: FragmentNetwork, clips: Frames, cache: Path
) -> None:
    """Also where views run side by side, and one is left over that runs alone."""
    engine = make_engine(network, name=name, cache=cache, threads=threads)
    everything = np.ones((1, network.clip_spec.fragments), bool)
    expected = np.concatenate([brute_force(network, clip, everything) for clip in clips])
    answer = engine.score(clips)
    scores = np.stack([each.score for each in answer.contributions], axis=1)
    np.testing.assert_allclose(scores, expected, atol=engine.runtime.tolerance)


def test_contributions_are_shapley_values_of_the_mean(
    network: FragmentNetwork, clips: Frames
) -> None:
    spec, answer = network.clip_spec, make_engine(network, name="torch").score(clips)
    masks = np.arange(2**spec.fragments)[:, None]  # (M, 1)
    table = brute_force(network, clips[1], (masks >> np.arange(spec.fragments) & 1).astype(bool))
    for output, contributions in enumerate(answer.contributions):
        expected = shapley(table[None, :, output])[0]
        np.testing.assert_allclose(contributions.contribution[1], expected, atol=0.01)
        total = contributions.baseline + contributions.contribution.sum(axis=1)
        np.testing.assert_allclose(total, contributions.score, atol=1e-6)


def test_a_fragment_is_blank_that_no_view_shows(network: FragmentNetwork, clips: Frames) -> None:
    spec, answer = network.clip_spec, make_engine(network, name="torch").score(clips)
    seen: list[NDArray[np.bool_]] = [
        np.asarray(cut(clips, spec, start).any((2, 3, 4, 5))) for start, _ in spec.views(VIEWS)
    ]
    np.testing.assert_array_equal(answer.blank, ~np.any(seen, axis=0))
    assert answer.blank.tolist() == [[True] + (spec.fragments - 1) * [False],
                                     spec.fragments * [False]]  # fmt: skip
    assert not seen[0][1, 0]
    for contributions in answer.contributions:
        assert contributions.contribution[0, 0] == 0
        assert contributions.contribution[1, 0] != 0
