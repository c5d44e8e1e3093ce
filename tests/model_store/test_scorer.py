import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.checkpoint import GOLDEN_TOLERANCE
from model_store.clip import cut, load_clip
from model_store.contributions import shapley
from model_store.errors import EngineError, InvalidDifficulty, UnusableClip
from model_store.network import FragmentNetwork
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.spec import DifficultyRule
from model_store.store import Store
from tests.checkpoints import TINY, publish_tiny, tiny_card, tiny_network, tiny_spec
from tests.clips import clip_bytes


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store)
    return Scorer(store.load("diving"), "torch")


@pytest.fixture(scope="module")
def clips(scorer: Scorer) -> list[NDArray[np.uint8]]:
    return [
        load_clip(clip_bytes(frames=frames, height=48, width=64, seed=seed), scorer.spec)
        for seed, frames in enumerate((151, 120, 90))
    ]


def test_the_score_is_the_networks(scorer: Scorer, clips: list[NDArray[np.uint8]]) -> None:
    with torch.inference_mode():
        plain = scorer.checkpoint.network(cut(torch.from_numpy(np.stack(clips)), scorer.spec))
    assert [a.score for a in scorer.score(clips)] == pytest.approx(plain[:, 0].tolist(), abs=1e-3)


def test_contributions_add_up_and_blank_fragments_have_none(
    scorer: Scorer, clips: list[NDArray[np.uint8]]
) -> None:
    for answer in scorer.score(clips):
        assert answer.baseline + sum(answer.contribution) == pytest.approx(answer.score, abs=1e-3)
        for i, blank in enumerate(answer.blank):
            if blank:
                assert answer.contribution[i] == 0
                assert answer.without[i] == answer.score
    assert sum(scorer.score(clips)[2].blank) == 3  # 90 frames fill 6 of 9 fragments


def test_a_clip_scores_the_same_alone_and_in_a_batch(
    scorer: Scorer, clips: list[NDArray[np.uint8]]
) -> None:
    together = scorer.score(clips)
    for clip, answer in zip(clips, together, strict=True):
        [alone] = scorer.score([clip])
        assert alone.score == pytest.approx(answer.score, abs=1e-3)
        assert alone.contribution == pytest.approx(answer.contribution, abs=1e-3)


def test_no_clips_no_scores(scorer: Scorer) -> None:
    assert scorer.score([]) == []


@pytest.mark.parametrize("shape", [(150, 32, 32, 3), (151, 32, 33, 3), (151, 32, 32)])
def test_a_clip_of_another_shape_is_refused(scorer: Scorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(UnusableClip, match="need"):
        scorer.score([np.zeros(shape, np.uint8)])


def test_a_clip_of_floats_is_refused(scorer: Scorer) -> None:
    with pytest.raises(UnusableClip, match="float32"):
        scorer.score([np.zeros((151, 32, 32, 3), np.float32)])


def test_the_golden_clip_guards_the_scores(scorer: Scorer) -> None:
    assert scorer.check_golden() < 1e-3
    golden = scorer.checkpoint.golden
    [output] = golden.outputs
    other = dataclasses.replace(output, score=output.score + 2 * GOLDEN_TOLERANCE)
    off = dataclasses.replace(golden, outputs=(other,))
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


EXECUTION = dataclasses.replace(ANSWER, output="execution")


def test_execution_from_a_final_score() -> None:
    dive = dataclasses.replace(ANSWER, score=84.15).with_difficulty(3.3, "multiply")
    assert dive.score == 84.15
    assert dive.execution == pytest.approx(25.5)
    vault = dataclasses.replace(ANSWER, score=15.1).with_difficulty(5.8, "add")
    assert vault.execution == pytest.approx(9.3)
    assert ANSWER.with_difficulty(None, "add").execution is None
    assert dive.scored_by == ANSWER.scored_by == "video"


@pytest.mark.parametrize(("rule", "score"), [("multiply", 75.0), ("add", 28.0)])
def test_a_final_score_from_an_execution(rule: DifficultyRule, score: float) -> None:
    final = EXECUTION.with_difficulty(3.0, rule)
    assert final.score == score
    assert final.execution == 25.0
    assert final.scored_by == "video and difficulty"
    assert final.baseline + sum(final.contribution) == pytest.approx(final.score)
    for i in (0, 1):  # one fragment's contribution is what joining the baseline alone brings here
        assert final.alone[i] - final.baseline == pytest.approx(final.contribution[i])
        assert final.score - final.without[i] == pytest.approx(final.contribution[i])


def test_an_execution_network_needs_the_difficulty() -> None:
    with pytest.raises(InvalidDifficulty, match="needs a difficulty"):
        EXECUTION.with_difficulty(None, "multiply")


def test_a_difficulty_that_no_routine_has() -> None:
    with pytest.raises(InvalidDifficulty, match="above 0"):
        ANSWER.with_difficulty(0.0, "multiply")


@pytest.fixture(scope="module", params=["diving", "vault"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """Predicts the final score and the execution; × in diving, + in vault."""
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, request.param, target="both", calibrated=True)
    return Scorer(store.load(request.param), "torch")


@torch.inference_mode()
def all_coalitions(network: FragmentNetwork, clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T, H, W, 3) -> (2^K, O): the head for each, bit i of the index for fragment i."""
    fragments = cut(torch.from_numpy(clip[None]), network.clip_spec)
    seen = torch.cat([network.extract(i, fragments[:, k]) for i, k in enumerate(network.used)])
    blank = network.blank_features()  # (K, D, T', H', W')
    rows = []
    for mask in range(2 ** len(seen)):
        shown = torch.tensor([bool(mask >> k & 1) for k in range(len(seen))])
        mixed = torch.where(shown[:, None, None, None, None], seen, blank)
        rows.append(network.head(torch.cat(mixed.unbind(), dim=1)[None])[0])
    return torch.stack(rows).double().numpy()


@pytest.mark.parametrize("difficulty", [None, 3.3])
def test_the_output_that_answers_brings_all_its_parts(
    both: Scorer, difficulty: float | None
) -> None:
    spec = both.spec
    clip = load_clip(clip_bytes(frames=spec.frames, height=48, width=64, seed=1), spec)
    everyone, rule = 2**spec.fragments - 1, spec.difficulty_rule
    final, execution = all_coalitions(both.checkpoint.network, clip).T
    values = final if difficulty is None else final_of(execution, difficulty, rule)
    table = values[None]  # (1, 2^K)
    [answer] = both.score([clip])
    answer = answer.with_difficulty(difficulty, rule)
    assert answer.score == pytest.approx(table[0, everyone], abs=4e-3)
    assert answer.baseline == pytest.approx(table[0, 0], abs=4e-3)
    assert answer.contribution == pytest.approx(shapley(table)[0], abs=4e-3)
    bit = 1 << np.arange(spec.fragments)
    assert answer.alone == pytest.approx(table[0, bit], abs=4e-3)
    assert answer.without == pytest.approx(table[0, everyone - bit], abs=4e-3)
    assert answer.standard_error is None  # nothing is estimated
    assert answer.baseline + sum(answer.contribution) == pytest.approx(answer.score, abs=1e-9)
    assert np.abs(answer.contribution).max() > 0.02


def final_of(execution: Any, difficulty: float, rule: DifficultyRule) -> Any:
    return execution * difficulty if rule == "multiply" else execution + difficulty


@pytest.mark.parametrize("difficulty", [None, 3.3])
def test_contributions_of_many_fragments_come_with_their_standard_errors(
    tmp_path: Path, difficulty: float | None
) -> None:
    spec = dataclasses.replace(tiny_spec(), fragments=11, frames=11 * 16)
    shape = dataclasses.replace(TINY, target="both")
    content = clip_bytes(frames=160, height=48, width=64)  # the last fragment is blank
    store = Store(tmp_path)
    store.publish(
        tiny_card(spec, shape), tiny_network(spec, shape), golden_clip=content, readme="-\n"
    )
    scorer, clip = Scorer(store.load("diving"), "torch"), load_clip(content, spec)
    table = all_coalitions(scorer.checkpoint.network, clip)[None, :, int(difficulty is not None)]
    exact = shapley(table)[0] * (difficulty or 1.0)

    [answer] = scorer.score([clip])
    answer = answer.with_difficulty(difficulty, spec.difficulty_rule)
    off, error = np.subtract(answer.contribution, exact), np.array(answer.standard_error)
    assert (np.abs(off) <= 4 * error + 1e-3).all()
    assert 0.2 < np.sqrt((off[:10] ** 2).mean() / (error[:10] ** 2).mean()) < 2  # nor overstated
    assert error[10] == answer.contribution[10] == 0
    assert answer.baseline + sum(answer.contribution) == pytest.approx(answer.score)


def test_interval_and_review_are_those_of_the_output_that_answers(both: Scorer) -> None:
    rule = both.spec.difficulty_rule
    clip = load_clip(clip_bytes(frames=100, height=48, width=64), both.spec)
    [answer] = both.score([clip])
    video, declared = (answer.with_difficulty(each, rule) for each in (None, 3.0))
    assert answer.of_execution is not None
    assert video.trust is not None
    assert declared.trust is not None
    assert declared.execution is not None
    assert (video.scored_by, declared.scored_by) == ("video", "video and difficulty")
    assert (video.execution, video.difficulty) == (None, None)
    assert declared.execution == answer.of_execution.score
    assert declared.score == pytest.approx(final_of(declared.execution, 3.0, rule))
    # The tiny calibration: ± 2 points of the final score, which is wide, ± 0.5 of an execution.
    half = 1.5 if rule == "multiply" else 0.5
    assert (video.trust.interval.low, video.trust.interval.high) == pytest.approx(
        (video.score - 2, video.score + 2)
    )
    assert (declared.trust.interval.low, declared.trust.interval.high) == pytest.approx(
        (declared.score - half, declared.score + half)
    )
    assert (video.trust.wide, declared.trust.wide) == (True, False)
    assert video.trust.distance == declared.trust.distance


def test_a_warning_widens_the_interval_in_points_as_announced(both: Scorer) -> None:
    clip = load_clip(clip_bytes(frames=100, height=48, width=64), both.spec)
    [answer] = both.score([clip])
    for difficulty in (None, 3.0):
        before = answer.with_difficulty(difficulty, both.spec.difficulty_rule)
        after = before.widened(0.7)
        assert before.trust is not None
        assert after.trust is not None
        half = math.hypot(before.trust.interval.high - before.score, 0.7)
        assert after.trust.interval.high == pytest.approx(after.score + half)
        assert after.trust.interval.low == pytest.approx(after.score - half)
        assert dataclasses.replace(after, trust=None) == dataclasses.replace(before, trust=None)
        assert before.widened(0.0) == before
    bare = dataclasses.replace(answer, trust=None)
    assert bare.widened(0.7) == bare


def test_the_golden_clip_guards_both_outputs(both: Scorer) -> None:
    assert both.check_golden() < 1e-3
    golden = both.checkpoint.golden
    for index in (0, 1):
        outputs = list(golden.outputs)
        contributions = (outputs[index].contributions[0] + 1.0, *outputs[index].contributions[1:])
        outputs[index] = dataclasses.replace(outputs[index], contributions=contributions)
        off = dataclasses.replace(golden, outputs=tuple(outputs))
        tampered = Scorer(dataclasses.replace(both.checkpoint, golden=off), "torch")
        with pytest.raises(EngineError, match="off by"):
            tampered.check_golden()
