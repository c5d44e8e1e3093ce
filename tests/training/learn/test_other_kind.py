"""Two kinds of clips with a line each: the gate tells them apart, and the network says the same."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.network import FragmentNetwork
from tests.training.bright import SPEC, TINY
from training.errors import DataError
from training.learn.forward import join
from training.learn.other_kind import SURE, Gate, TwoLines
from training.learn.readout import Floats, Readout, Rows
from training.learn.starting_point import mean_over_frames

FRAGMENTS, CHANNELS = 3, 12
BLANK = np.full((FRAGMENTS, CHANNELS), 0.2)


def features_of(clips: int, *, shift: Floats, seed: int) -> Floats:
    """(2, N, K, F): two versions of clips around a mean of 1 that is shifted by (F,)."""
    random = np.random.default_rng(seed)
    once = random.normal(1.0 + shift, 0.5, (clips, FRAGMENTS, CHANNELS))
    return np.stack([once, once + random.normal(0, 0.01, once.shape)])


PATTERN = np.resize([1.0, -1.0], CHANNELS)  # some features are larger in clips of the other kind


def rows_of(
    own: int, other: int, *, shift: Floats = PATTERN, seed: int = 0
) -> tuple[Rows, NDArray[np.bool_]]:
    clips = own + other
    features = np.concatenate(
        [
            features_of(own, shift=np.zeros(CHANNELS), seed=seed),
            features_of(other, shift=shift, seed=seed + 1),
        ],
        axis=1,
    )
    rows = Rows(
        features=features,
        shown=np.ones((2, clips, FRAGMENTS), bool),
        head=np.zeros((2, clips)),
        judged=np.zeros((2, clips)),
        factor=np.ones(clips),
        weight=np.ones(clips),
        groups=np.arange(clips),
        leader=np.arange(clips),
        differences=np.zeros(clips),
        kinds=np.full(clips, -1),
        views=1,
    )
    return rows, np.arange(clips) >= own


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate.between(*rows_of(60, 400), BLANK)


@pytest.mark.parametrize("shown", [(0, 1, 2), (0,), (1,), (2,)])
def test_clips_are_told_apart_whole_and_by_each_fragment(gate: Gate, shown: tuple[int]) -> None:
    """Clips that taught nothing; what is not shown is blank."""
    held, is_other = rows_of(200, 200, seed=7)
    hidden = [k for k in range(FRAGMENTS) if k not in shown]
    held.features[:, :, hidden] = BLANK[hidden]
    share = gate.share(held.features)
    right = (share > 0.5) == is_other
    assert right.mean() > (0.999 if len(shown) == 3 else 0.9)
    assert share[:, is_other].mean() > 0.9 > 0.1 > share[:, ~is_other].mean()


def test_what_shows_nothing_is_of_the_own_kind(gate: Gate) -> None:
    assert gate.share(BLANK[None])[0] == pytest.approx(1 / (1 + np.exp(SURE)))


def test_kinds_that_look_alike_are_refused() -> None:
    with pytest.raises(DataError, match=r"\d\d% of the clips .*need 90%: leave --apart out"):
        Gate.between(*rows_of(60, 400, shift=np.zeros(CHANNELS)), BLANK)


def test_a_fragment_that_only_one_kind_shows_decides_nothing() -> None:
    """As at the beginning of short clips, which are padded."""
    rows, is_other = rows_of(60, 60)
    rows.shown[:, is_other, 0] = False
    gate = Gate.between(rows, is_other, BLANK)
    assert not gate.weights[0].any()
    assert gate.weights[1:].any(axis=1).all()


@torch.inference_mode()
@pytest.mark.parametrize("frames", [16, 48])
def test_the_network_says_what_was_fitted(frames: int) -> None:
    """Also when the base is brought to another scale, each output by itself."""
    torch.manual_seed(0)
    clip = dataclasses.replace(SPEC, fragment_length=frames, frames=2 * frames)
    network = FragmentNetwork(
        dataclasses.replace(TINY, readout=True, other_kind=True, target="both"), clip
    ).eval()
    features = torch.rand(30, 2, *network.fragment_feature_shape)
    places = mean_over_frames(features).double().numpy()
    random = np.random.default_rng(0)

    def line(constant: float) -> Readout:
        return Readout(0.0, random.normal(size=places.shape[1:]), constant, 1.0)

    weights = random.normal(size=places.shape[1:])
    gate = Gate(weights, float(np.median((places * weights).sum(axis=(1, 2)))))
    lines = [TwoLines(line(60.0), line(40.0), gate), TwoLines(line(8.0), line(3.0), gate)]
    assert gate.share(places).std() > 0.1
    for _ in range(2):  # put in again, they are the same
        for output, each in enumerate(lines):
            each.put_into(network.head, output)
    said = network.head(join(features)).numpy()
    for output, each in enumerate(lines):
        expected = each.predict(places, np.zeros(30))
        np.testing.assert_allclose(said[:, output], expected, rtol=1e-4, atol=1e-3)

    scaled = Readout(0.5, np.zeros(places.shape[1:]), 2.0, np.inf)
    scaled.put_into(network.head, 1)
    after = network.head(join(features)).numpy()
    np.testing.assert_allclose(after[:, 1], 0.5 * said[:, 1] + 2, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(after[:, 0], said[:, 0])
