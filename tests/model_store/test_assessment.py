"""All that is known of one scored clip, whoever asks."""

import dataclasses
import json
from typing import Any

import pytest

from model_store.assessment import (
    Assessment,
    CheckpointIdentity,
    ClipFacts,
    ScoreWarning,
    assess,
    score_warnings,
)
from model_store.clip import PreparedClip, prepare_clip, read_clip
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.errors import InvalidDifficulty
from model_store.score import Score
from model_store.score_command import json_of
from model_store.scorer import Scorer
from model_store.spec import DIVING, VAULT, ClipSpec
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes

CONTENT = clip_bytes(frames=100)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "diving", target="both", calibrated=True)
    return Scorer(store.load("diving"), "torch")


@pytest.fixture(scope="module")
def clip(scorer: Scorer) -> PreparedClip:
    return prepare_clip(read_clip(CONTENT, scorer.spec), scorer.spec)


@pytest.fixture(scope="module")
def score(scorer: Scorer, clip: PreparedClip) -> Score:
    [score] = scorer.score([clip.frames])
    return score


def assessed(
    scorer: Scorer, score: Score, clip: PreparedClip, difficulty: float | None = None, **card: Any
) -> Assessment:
    changed = scorer.checkpoint.card.model_copy(update=card)
    return assess(score, clip, card=changed, sha256="abc", difficulty=difficulty)


def test_it_adds_up_and_names_its_fragments(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    found = assessed(scorer, score, clip)
    total = found.baseline + sum(fragment.contribution for fragment in found.fragments)
    assert total == pytest.approx(found.score)
    assert [each.index for each in found.fragments] == list(range(9))
    assert [each.stage for each in found.fragments] == scorer.checkpoint.card.stage_of_fragment
    assert [each.blank for each in found.fragments] == [False] * 7 + [True] * 2
    for each in found.fragments[:6]:
        assert each.start_s == pytest.approx(each.index * 16 / 30)
        assert each.end_s == pytest.approx((each.index + 1) * 16 / 30)
    for each in found.fragments[7:]:
        assert (each.start_s, each.end_s, each.contribution) == (None, None, 0)


def test_it_knows_the_clip_and_the_checkpoint(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    found = assessed(scorer, score, clip)
    assert found.clip == ClipFacts(
        sha256=clip.info.sha256,
        frames=100,
        decoded_frames=100,
        fps=clip.info.fps,
        width=160,
        height=120,
        codec="h264",
    )
    assert found.checkpoint == CheckpointIdentity(
        name="diving", version=1, sha256="abc", trained_on="simulated"
    )
    assert found.checkpoint.reference == "diving@1"


def test_a_declared_difficulty_is_part_of_it(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    by_video, by_both = (assessed(scorer, score, clip, each) for each in (None, 3.2))
    assert (by_video.scored_by, by_both.scored_by) == ("video", "video and difficulty")
    assert by_video.execution is None
    assert by_both.execution is not None
    assert by_both.score == pytest.approx(by_both.execution * 3.2)
    with pytest.raises(InvalidDifficulty):
        assessed(scorer, score, clip, -1.0)


def test_what_may_have_moved_the_score_widens_its_interval(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    odd = dataclasses.replace(clip, warnings=(ClipWarning.PADDED, ClipWarning.BARS))
    sure = assessed(scorer, score, odd, 3.2, moved_by={})
    unsure = assessed(scorer, score, odd, 3.2, moved_by={ClipWarning.BARS: 6.0})
    assert sure.interval is not None
    assert unsure.interval is not None
    assert not sure.needs_review
    half = (sure.interval.high - sure.interval.low) / 2
    widened = (unsure.interval.high - unsure.interval.low) / 2
    assert widened == pytest.approx((half**2 + 6.0**2) ** 0.5)
    assert unsure.review_reasons == (ReviewReason.WIDE_INTERVAL,)
    assert unsure.needs_review


def test_without_a_calibration_there_is_no_interval(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    found = assessed(scorer, dataclasses.replace(score, trust=None), clip)
    assert (found.interval, found.familiarity) == (None, None)
    assert found.review_reasons == (ReviewReason.NOT_CALIBRATED,)


def test_only_estimated_contributions_have_a_standard_error(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    estimated = dataclasses.replace(score, standard_error=(0.1,) * 9)
    exact, unsure = (
        assessed(scorer, each, clip).to_json()["fragments"] for each in (score, estimated)
    )
    assert "standard_error" not in exact[0]
    assert list(unsure) == [fragment | {"standard_error": 0.1} for fragment in exact]


@pytest.mark.parametrize(
    ("points", "spec", "expected"),
    [
        (-0.1, DIVING, [ScoreWarning.BELOW_RANGE]),
        (0.0, DIVING, []),
        (100.0, DIVING, []),
        (100.1, DIVING, [ScoreWarning.ABOVE_RANGE]),
        (20.1, VAULT, [ScoreWarning.ABOVE_RANGE]),
    ],
)
def test_a_score_outside_the_range_of_its_action_is_a_warning(
    points: float, spec: ClipSpec, expected: list[ScoreWarning]
) -> None:
    assert score_warnings(points, spec) == expected


def test_the_command_line_and_the_service_give_the_same_answer(
    scorer: Scorer, score: Score, clip: PreparedClip
) -> None:
    """Each writes the same assessment in its own way; what both have is the same."""
    from service.http.wire.score import score_answer
    from service.scoring.scored_clip import ScoredClip, StageSeconds

    found = assessed(scorer, score, clip, 3.2)
    scored = ScoredClip(assessment=found, engine="torch", stage_seconds=StageSeconds(total=1.0))
    answer = score_answer(scored, "an-id").model_dump(mode="json", exclude_unset=True)
    printed = json.loads(json.dumps(json_of(found)))
    apart = {"checkpoint", "trained_on", "sha256"}  # part of other keys in the service's answer
    assert printed.keys() - apart <= answer.keys()
    for name in printed.keys() - apart:
        assert printed[name] == answer[name], name
    assert printed["checkpoint"] == "{name}@{version}".format(**answer["checkpoint"])
    assert printed["trained_on"] == answer["checkpoint"]["trained_on"]
    assert printed["sha256"] == answer["clip"]["sha256"]
