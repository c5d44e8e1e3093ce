import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.checkpoint import GOLDEN_TOLERANCE
from model_store.clip import cut, load_clip
from model_store.errors import EngineError, InvalidDifficulty, UnusableClip
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


def test_no_clips_no_scores(scorer: Scorer) -> None:
    assert scorer.score([]) == []


@pytest.mark.parametrize("shape", [(150, 32, 32, 3), (151, 32, 33, 3), (151, 32, 32)])
def test_a_clip_of_another_shape_is_refused(scorer: Scorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(UnusableClip, match="need"):
        scorer.score([np.zeros(shape, np.uint8)])


def test_a_clip_of_floats_is_refused(scorer: Scorer) -> None:
    with pytest.raises(UnusableClip, match="float32"):
        scorer.score([np.zeros((151, 32, 32, 3), np.float32)])


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


def final_of(execution: Any, difficulty: float, rule: DifficultyRule) -> Any:
    return execution * difficulty if rule == "multiply" else execution + difficulty


def test_standard_errors_of_many_fragments_grow_with_the_difficulty(tmp_path: Path) -> None:
    spec = dataclasses.replace(tiny_spec(), fragments=11, frames=11 * 16)
    shape = dataclasses.replace(TINY, target="both")
    content = clip_bytes(frames=160, height=48, width=64)  # the last fragment is blank
    store = Store(tmp_path)
    store.publish(
        tiny_card(spec, shape), tiny_network(spec, shape), golden_clip=content, readme="-\n"
    )
    [answer] = Scorer(store.load("diving"), "torch").score([load_clip(content, spec)])
    assert answer.of_execution is not None
    for difficulty, undeclared in ((None, answer), (3.3, answer.of_execution)):
        declared = answer.with_difficulty(difficulty, spec.difficulty_rule)
        error = np.array(declared.standard_error)
        assert (error[:10] > 0).all()
        assert error[10] == declared.contribution[10] == 0
        np.testing.assert_allclose(error, (difficulty or 1.0) * np.array(undeclared.standard_error))
        total = declared.baseline + sum(declared.contribution)
        assert total == pytest.approx(declared.score)


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


def test_the_golden_clip_guards_both_outputs(both: Scorer) -> None:
    assert both.check_golden() < 1e-3
    golden = both.checkpoint.golden
    for index, output in enumerate(golden.outputs):
        first, *others = output.contributions
        for change in (
            {"contributions": (first + 1.0, *others)},
            {"score": output.score + 2 * GOLDEN_TOLERANCE},
        ):
            outputs = list(golden.outputs)
            outputs[index] = dataclasses.replace(output, **change)
            off = dataclasses.replace(golden, outputs=tuple(outputs))
            tampered = Scorer(dataclasses.replace(both.checkpoint, golden=off), "torch")
            with pytest.raises(EngineError, match="off by"):
                tampered.check_golden()
