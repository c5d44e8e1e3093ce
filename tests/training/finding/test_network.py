"""The finder that is trained, and the one that is run."""

import numpy as np
import pytest
import torch

from model_store.finding.features import FEATURES, GRID, features_of
from model_store.finding.finder import Finder
from model_store.finding.windows import FrameWindow, table
from training.finding.fit import LENGTHS, fit
from training.finding.network import FinderNetwork
from training.finding.recordings import Recording
from training.finding.samples import Samples


def features(count: int) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(count).normal(0, 1, (count, FEATURES)).astype(np.float32)
    )


def recording(before: int, routine: int, after: int, seed: int) -> Recording:
    """Dark, then bright and moving, then dark: a routine that anyone can see."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(0.2, 0.01, (before + routine + after, GRID, GRID, 3))
    parts[before : before + routine] += rng.uniform(0, 0.6, (routine, GRID, GRID, 3))
    window = FrameWindow(before, before + routine)
    return Recording(parts=parts.astype(np.float32), routines=(window,))


def test_what_is_run_is_what_was_trained() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FinderNetwork(5, 12).eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    finder = Finder.from_arrays(network.arrays())
    found = features(90)
    expected = network.table(found).detach().numpy()
    odds = table(finder.evidence(found.numpy()), finder.prior)
    possible = np.isfinite(odds)
    np.testing.assert_array_equal(possible, expected > -1e8)
    np.testing.assert_allclose(odds[possible], expected[possible], rtol=0.02, atol=0.5)  # halves


def test_loss_by_hand() -> None:
    """With no evidence every window of a length has the odds of that length alone."""
    network = FinderNetwork(5, 6).eval()
    found = features(7)
    # As a new network has it: about 5.5 frames, spread by e³, and log-odds of −8.
    prior = [-8 - 0.5 * ((n - 5.5) / np.exp(3)) ** 2 for n in (5, 6)]
    odds = np.exp(prior)
    every = np.log(1 + 3 * odds[0] + 2 * odds[1])
    assert float(network.loss(found, ()).detach()) == pytest.approx(every, rel=1e-3)
    # From frame 0 to 5, and what is up to two frames off: 0–6, 1–6, 1–7, 2–7.
    near = sum(
        odds[length - 5] * np.exp(-off / 4)
        for length, off in ((5, 0), (6, 1), (5, 2), (6, 5), (5, 8))
    )
    [shown] = (FrameWindow(0, 5),)
    assert float(network.loss(found, [shown]).detach()) == pytest.approx(
        every - np.log(near), rel=1e-3
    )


def test_a_fit_learns_what_is_to_be_seen() -> None:
    recordings = [recording(20 + 7 * i, 80, 90 - 7 * i, i) for i in range(6)]
    losses: list[float] = []
    network = fit(
        "vault",
        recordings,
        [],
        steps=25,
        seed=0,
        on_step=lambda done, of, figures: losses.append(figures["loss"]),
    )
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    [shown] = recordings[0].routines
    odds = network.table(torch.from_numpy(features_of(recordings[0].parts))).detach().numpy()
    start, _ = np.unravel_index(odds.argmax(), odds.shape)
    assert abs(int(start) - shown.start) < 30
    assert (network.shortest, network.longest) == LENGTHS["vault"]


def test_samples_show_their_routines_and_nothing_else() -> None:
    recordings = [recording(20 + 7 * i, 80, 90 - 7 * i, i) for i in range(4)]
    clips = [recording(0, 80, 0, 9).parts]
    samples = Samples(recordings, clips, np.random.default_rng(0))
    kinds = set()
    for _ in range(200):
        sample = samples.draw(100)
        assert len(sample.parts) >= 100
        assert sample.parts.min() >= 0
        assert sample.parts.max() <= 1
        kinds.add(len(sample.routines))
        for shown in sample.routines:
            assert 0 <= shown.start < shown.stop <= len(sample.parts)
            assert shown.stop - shown.start == 80
    assert kinds == {0, 1, 2}


def test_equal_seeds_give_equal_samples() -> None:
    recordings = [recording(20, 80, 30, 0)]
    one, other = (Samples(recordings, [], np.random.default_rng(5)) for _ in range(2))
    for _ in range(10):
        np.testing.assert_array_equal(one.draw(100).parts, other.draw(100).parts)
