"""The two learners of the baselines find what is there to be found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import spearman
from training.paper.baselines import lstm, svr
from training.paper.baselines.fragments import Fragments


def quiet(*_: object) -> None:
    pass


def test_svr_finds_a_line() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(90, 12))
    judged = 70 + 9 * values[:, 3] - 4 * values[:, 7] + random.normal(0, 0.5, 90)
    predicted = svr.regress(values[:60], judged[:60], values[60:], seed=0)
    assert np.abs(predicted - judged[60:]).mean() < 1.0  # always the mean would be off by 8
    assert spearman(predicted, judged[60:]) > 0.95


def sequences(clips: int, seed: int = 0) -> tuple[Fragments, NDArray[np.float64]]:
    """Worth what the first fragment shows less what the last does: their mean says nothing."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(clips, 4, 3)).astype(np.float32)
    features -= features.mean(axis=1, keepdims=True)
    judged = 60.0 + 10 * (features[:, 0, 0] - features[:, 3, 0]).astype(np.float64)
    return Fragments(features, np.ones((clips, 4), bool)), judged


def test_lstm_sees_the_order() -> None:
    clips, judged = sequences(160)
    predicted = lstm.regress(
        clips[:120], judged[:120], clips[120:], seed=0, epochs=40, progress=quiet
    )
    assert spearman(predicted, judged[120:]) > 0.8
    by_mean = svr.regress(clips[:120].mean(), judged[:120], clips[120:].mean(), seed=0)
    assert spearman(by_mean, judged[120:]) < 0.5


def test_lstm_looks_at_no_blank_fragment() -> None:
    clips, judged = sequences(40)
    shown = clips.shown.copy()
    shown[::2, 3] = False
    spoiled = clips.features.copy()
    spoiled[~shown] = 1e6
    options: dict[str, Any] = {"seed": 1, "epochs": 2, "progress": quiet}
    whole = Fragments(np.where(shown[:, :, None], clips.features, 0), shown)
    one = lstm.regress(whole[:30], judged[:30], whole[30:], **options)
    blank = Fragments(spoiled, shown)
    np.testing.assert_array_equal(one, lstm.regress(blank[:30], judged[:30], blank[30:], **options))


def test_the_mean_leaves_blank_fragments_out() -> None:
    features = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    shown = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(Fragments(features, shown).mean(), [[1.0, 2.0], [0.0, 0.0]])
