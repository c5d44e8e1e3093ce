"""A checkpoint with both outputs: which one answers, and that the whole answer is its own."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from model_store.clip import load_clip
from model_store.judging.order import order_probability
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

CLIP = clip_bytes(frames=100)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("both"))
    publish_tiny(store, "diving", target="both", calibrated=True)
    publish_tiny(store, "vault", target="both", calibrated=True)
    return store


@pytest.fixture(scope="module")
async def app(both: Store) -> AsyncIterator[App]:
    async with running_app(both, result_cache_bytes=1 << 20) as app:
        yield app


def score_of(store: Store, action: str, difficulty: float | None) -> Score:
    scorer = Scorer(store.load(action), "torch")
    [score] = scorer.score([load_clip(CLIP, scorer.spec)])
    return score.with_difficulty(difficulty, scorer.spec.difficulty_rule)


@pytest.mark.parametrize(("action", "declared"), [("diving", 3.2), ("vault", 5.8)])
async def test_the_declared_difficulty_chooses_the_output(
    app: App, both: Store, action: str, declared: float
) -> None:
    answers: dict[float | None, Any] = {}
    for difficulty in (None, declared, None):  # from the cache, too
        given = {} if difficulty is None else {"difficulty": str(difficulty)}
        answer = answers[difficulty] = (await app.score(CLIP, action=action, **given)).json()
        expected = score_of(both, action, difficulty)
        assert expected.trust is not None
        assert answer["score"] == pytest.approx(expected.score, abs=1e-3)
        assert answer["baseline"] == pytest.approx(expected.baseline, abs=1e-3)
        for name in ("contribution", "alone", "without"):
            values = [fragment[name] for fragment in answer["fragments"]]
            assert values == pytest.approx(getattr(expected, name), abs=1e-3)
        total = answer["baseline"] + sum(f["contribution"] for f in answer["fragments"])
        assert total == pytest.approx(answer["score"], abs=1e-6)
        interval = expected.trust.interval
        assert answer["interval"]["low"] == pytest.approx(interval.low, abs=1e-3)
        assert answer["interval"]["high"] == pytest.approx(interval.high, abs=1e-3)
    video, both_known = answers[None], answers[declared]
    assert (video["scored_by"], both_known["scored_by"]) == ("video", "video and difficulty")
    assert (video["execution"], video["difficulty"]) == (None, None)
    assert both_known["difficulty"] == declared
    final = (
        both_known["execution"] * declared
        if action == "diving"
        else both_known["execution"] + declared
    )
    assert both_known["score"] == pytest.approx(final)
    assert abs(video["score"] - both_known["score"]) > 1
    # The tiny calibration says so of the final score alone.
    assert video["review_reasons"] == ["wide_interval"]
    assert both_known["review_reasons"] == []


async def test_the_panel_is_held_against_the_answer(app: App) -> None:
    marks = {"marks": "8.5,8,8,8.5,9,8,8", "difficulty": "3.2"}
    answer = (await app.score(CLIP, **marks)).json()
    assert answer["scored_by"] == "video and difficulty"
    # A total is three marks × difficulty: the execution is that of three marks.
    assert answer["panel"]["model"]["mark"] == pytest.approx(answer["execution"] / 3)


async def test_clips_with_and_without_a_difficulty_are_in_one_order(app: App) -> None:
    clips = [clip_bytes(frames=100, seed=seed) for seed in range(4)]
    difficulties = ["", "3.0", "2.0", ""]
    alone = [
        (await app.score(clip, **({"difficulty": d} if d else {}))).json()
        for clip, d in zip(clips, difficulties, strict=True)
    ]
    response = await app.client.post(
        "/rank", files=[("clips", clip) for clip in clips], data={"difficulty": difficulties}
    )
    assert response.status_code == 200
    ranked = response.json()
    assert ranked["order"] == sorted(range(4), key=lambda i: -alone[i]["score"])
    assert [clip["scored_by"] for clip in ranked["clips"]] == [
        "video",
        "video and difficulty",
        "video and difficulty",
        "video",
    ]
    for index, (one, other) in enumerate(zip(ranked["clips"], alone, strict=True)):
        assert one["index"] == index == ranked["order"][one["rank"] - 1]
        for name in ("score", "execution", "interval", "review_reasons", "scored_by"):
            assert one[name] == other[name], name
    scores = {i: (each["score"], each["interval"]) for i, each in enumerate(alone)}
    for pair, place in zip(ranked["pairs"], pairwise(ranked["order"]), strict=True):
        assert (pair["first"], pair["second"]) == place
        (first, interval), (second, other) = scores[pair["first"]], scores[pair["second"]]
        expected = order_probability(first - second, _interval(interval), _interval(other))
        assert pair["probability"] == pytest.approx(expected)
        assert pair["difference"] == pytest.approx(first - second)


def _interval(values: dict[str, float]) -> Any:
    from model_store.judging.interval import Interval

    return Interval(**values)


async def test_the_scores_of_both_kinds_are_counted_apart(app: App) -> None:
    async def counts() -> dict[str, float]:
        text = (await app.client.get("/metrics")).text
        found = re.findall(r'score_output_count{checkpoint="diving@1",scored_by="(.+)"} (.+)', text)
        return {scored_by: float(count) for scored_by, count in found}

    before, clip = await counts(), clip_bytes(frames=75)  # whose answers are not in the cache
    for given in ({}, {"difficulty": "3.1"}, {"difficulty": "3.0"}):
        assert (await app.score(clip, **given)).status_code == 200
    more = {scored_by: count - before[scored_by] for scored_by, count in (await counts()).items()}
    assert more == {"video": 1, "video and difficulty": 2}


async def test_one_that_cannot_be_scored_was_scored_by_nothing(app: App) -> None:
    files = [("clips", clip) for clip in (CLIP, b"no video")]
    ranked = (await app.client.post("/rank", files=files)).json()
    assert [clip["scored_by"] for clip in ranked["clips"]] == ["video", None]


async def test_the_list_says_what_a_checkpoint_predicts(app: App, store: Store) -> None:
    listed = (await app.client.get("/checkpoints")).json()["checkpoints"]
    assert {each["target"] for each in listed} == {"both"}
    async with running_app(store, checkpoints="diving") as other:
        [listed] = (await other.client.get("/checkpoints")).json()["checkpoints"]
        assert listed["target"] == "final"
        answer = (await other.score(CLIP, difficulty="3.2")).json()
        assert answer["scored_by"] == "video"
        assert answer["execution"] == pytest.approx(answer["score"] / 3.2)
