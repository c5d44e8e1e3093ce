import dataclasses

import numpy as np
import pytest
import torch

from model_store.checkpoint import GOLDEN_TOLERANCE, Golden
from model_store.clip import cut, load_clip
from model_store.errors import EngineError, InvalidDifficulty, UnusableClip
from model_store.scorer import Score, Scorer, execution_of
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store)
    return Scorer(store.load("diving"), "torch")


@pytest.fixture(scope="module")
def clips(scorer):
    return [
        load_clip(clip_bytes(frames=frames, height=48, width=64, seed=seed), scorer.spec)
        for seed, frames in enumerate((151, 120, 90))
    ]


def test_the_score_is_the_networks(scorer, clips):
    with torch.inference_mode():
        plain = scorer.checkpoint.network(cut(torch.from_numpy(np.stack(clips)), scorer.spec))
    assert [a.score for a in scorer.score(clips)] == pytest.approx(plain.tolist(), abs=1e-3)


def test_contributions_add_up_and_blank_fragments_have_none(scorer, clips):
    for answer in scorer.score(clips):
        assert answer.baseline + sum(answer.contribution) == pytest.approx(answer.score, abs=1e-3)
        for i, blank in enumerate(answer.blank):
            if blank:
                assert answer.contribution[i] == 0
                assert answer.without[i] == answer.score
    assert sum(scorer.score(clips)[2].blank) == 3  # 90 frames fill 6 of 9 fragments


def test_a_clip_scores_the_same_alone_and_in_a_batch(scorer, clips):
    together = scorer.score(clips)
    for clip, answer in zip(clips, together, strict=True):
        [alone] = scorer.score([clip])
        assert alone.score == pytest.approx(answer.score, abs=1e-3)
        assert alone.contribution == pytest.approx(answer.contribution, abs=1e-3)


def test_no_clips_no_scores(scorer):
    assert scorer.score([]) == []


@pytest.mark.parametrize("shape", [(150, 32, 32, 3), (151, 32, 33, 3), (151, 32, 32)])
def test_a_clip_of_another_shape_is_refused(scorer, shape):
    with pytest.raises(UnusableClip, match="need"):
        scorer.score([np.zeros(shape, np.uint8)])


def test_a_clip_of_floats_is_refused(scorer):
    with pytest.raises(UnusableClip, match="float32"):
        scorer.score([np.zeros((151, 32, 32, 3), np.float32)])


def test_the_golden_clip_guards_the_scores(scorer):
    assert scorer.check_golden() < 1e-3
    golden = scorer.checkpoint.golden
    off = Golden(golden.score + 2 * GOLDEN_TOLERANCE, golden.contributions, golden.tolerance)
    tampered = Scorer(dataclasses.replace(scorer.checkpoint, golden=off), "torch")
    with pytest.raises(EngineError, match="off by"):
        tampered.check_golden()


ANSWER = Score(
    score=25.0,
    baseline=20.0,
    contribution=(2.0, 3.0),
    alone=(22.0, 23.0),
    without=(23.0, 22.0),
    blank=(False, False),
)


def test_execution_from_a_final_score():
    dive = dataclasses.replace(ANSWER, score=84.15).with_difficulty(3.3, "multiply", "final")
    assert (dive.score, dive.execution) == (84.15, pytest.approx(25.5))
    vault = dataclasses.replace(ANSWER, score=15.1).with_difficulty(5.8, "add", "final")
    assert vault.execution == pytest.approx(9.3)
    assert ANSWER.with_difficulty(None, "add", "final").execution is None


@pytest.mark.parametrize(("rule", "score"), [("multiply", 75.0), ("add", 28.0)])
def test_a_final_score_from_an_execution(rule, score):
    final = ANSWER.with_difficulty(3.0, rule, "execution")
    assert final.score == score
    assert final.execution == 25.0
    assert execution_of(final.score, 3.0, rule) == 25.0
    assert final.baseline + sum(final.contribution) == pytest.approx(final.score)
    for i in (0, 1):  # one fragment's contribution is what joining the baseline alone brings here
        assert final.alone[i] - final.baseline == pytest.approx(final.contribution[i])
        assert final.score - final.without[i] == pytest.approx(final.contribution[i])


def test_an_execution_network_needs_the_difficulty():
    with pytest.raises(InvalidDifficulty, match="needs a difficulty"):
        ANSWER.with_difficulty(None, "multiply", "execution")


@pytest.mark.parametrize("difficulty", [0.0, -1.0, float("nan"), float("inf")])
def test_a_difficulty_that_no_routine_has(difficulty):
    with pytest.raises(InvalidDifficulty, match="above 0"):
        ANSWER.with_difficulty(difficulty, "multiply", "final")
