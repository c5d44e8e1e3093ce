import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from model_store.assessment import (
    AssessedFragment,
    Assessment,
    CheckpointIdentity,
    ClipFacts,
    ScoreWarning,
)
from model_store.clip_warning import ClipWarning
from model_store.confidence import ReviewReason
from model_store.judging.interval import Interval
from model_store.store import Store
from service.metrics import Metrics
from service.scoring.result_cache import ResultCache, ResultKey
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

KEY = ResultKey(
    clip_sha256="c",
    checkpoint_sha256="k",
    engine="torch",
    difficulty=None,
    start_s=None,
    end_s=None,
    find=False,
)
ASSESSMENT = Assessment(
    action="diving",
    score=84.15,
    difficulty=3.3,
    execution=25.5,
    scored_by="video and difficulty",
    interval=Interval(low=78.9, high=89.2, coverage=0.9),
    familiarity=0.7,
    baseline=61.0,
    fragments=(
        AssessedFragment(
            index=0,
            stage="start",
            start_s=0.0,
            end_s=1 / 3,
            blank=False,
            contribution=23.15,
            alone=84.15,
            without=61.0,
        ),
    ),
    review_reasons=(ReviewReason.TRIMMED,),
    warnings=(ClipWarning.TRIMMED, ScoreWarning.ABOVE_RANGE),
    found_s=(1.2, 6.2),
    second_choice_s=None,
    checkpoint=CheckpointIdentity(name="diving", version=1, sha256="k", trained_on="both"),
    clip=ClipFacts(
        sha256="c", frames=151, decoded_frames=160, fps=29.97, width=320, height=240, codec="h264"
    ),
)


def key(number: int) -> ResultKey:
    return dataclasses.replace(KEY, clip_sha256=str(number))


def lookups(metrics: Metrics, outcome: str) -> float:
    name = "score_cache_lookups_total"
    return metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0.0


def test_what_was_put_is_found_and_nothing_else() -> None:
    cache = ResultCache(100_000, Metrics())
    assert cache.get(KEY) is None
    cache.put(KEY, ASSESSMENT)
    assert cache.get(KEY) == ASSESSMENT
    others: dict[str, Any] = {
        "clip_sha256": "d", "checkpoint_sha256": "l", "engine": "cuda", "difficulty": 3.0,
        "start_s": 0.0, "end_s": 1.0, "find": True,
    }  # fmt: skip
    assert others.keys() == {field.name for field in dataclasses.fields(ResultKey)}
    for name, value in others.items():
        assert cache.get(dataclasses.replace(KEY, **{name: value})) is None


def test_what_was_not_asked_for_longest_goes_first_and_no_more_is_kept_than_allowed() -> None:
    metrics = Metrics()
    one = len(TypeAdapter(Assessment).dump_json(ASSESSMENT)) + 1000
    cache = ResultCache(3 * one, metrics)
    for number in (1, 2, 3):
        cache.put(key(number), ASSESSMENT)
    assert cache.get(key(1)) is not None
    cache.put(key(3), ASSESSMENT)  # again: takes no more room
    cache.put(key(4), ASSESSMENT)
    assert [cache.get(key(number)) is not None for number in (1, 2, 3, 4)] == [
        True,
        False,
        True,
        True,
    ]
    assert metrics.registry.get_sample_value("score_cache_bytes") == 3 * one
    assert (lookups(metrics, "hit"), lookups(metrics, "miss")) == (4, 1)


def test_an_answer_larger_than_all_is_not_kept() -> None:
    metrics = Metrics()
    cache = ResultCache(100, metrics)
    cache.put(KEY, ASSESSMENT)
    assert cache.get(KEY) is None
    assert metrics.registry.get_sample_value("score_cache_bytes") == 0


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store, result_cache_bytes=1 << 20) as app:
        yield app


def without_request(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in answer.items() if name not in ("request_id", "timings_ms")}


async def test_the_same_clip_has_the_same_answer_at_once(app: App) -> None:
    clip = clip_bytes(frames=60, seed=11)
    first, again = await app.score(clip), await app.score(clip)
    assert [first.headers["x-cache"], again.headers["x-cache"]] == ["miss", "hit"]
    assert without_request(again.json()) == without_request(first.json())
    assert again.json()["request_id"] == again.headers["x-request-id"]
    assert again.json()["request_id"] != first.json()["request_id"]
    assert again.json()["timings_ms"]["inference"] == 0
    for fields in (
        {"difficulty": "2"},
        {"end_s": "1.5"},
        {"action": "vault"},
    ):
        assert (await app.score(clip, **fields)).headers["x-cache"] == "miss"
        assert (await app.score(clip, **fields)).headers["x-cache"] == "hit"


async def test_pictures_are_not_kept(app: App) -> None:
    """The page asks for them, and says that nothing is stored."""
    clip = clip_bytes(frames=60, seed=12)
    for _ in range(2):
        answer = await app.score(clip, include="frames")
        assert answer.headers["x-cache"] == "miss"
        assert answer.json()["fragments"][0]["jpeg"]
    assert (await app.score(clip)).headers["x-cache"] == "miss"  # nor is the rest of that answer
    for answer in (await app.score(clip), await app.score(clip, include="frames")):
        assert ("jpeg" in answer.json()["fragments"][0]) == (answer.headers["x-cache"] == "miss")


async def test_errors_are_not_kept(app: App) -> None:
    for _ in range(2):
        response = await app.score(b"no video")
        assert response.status_code == 415
        assert "x-cache" not in response.headers


async def test_it_can_be_switched_off(store: Store) -> None:
    async with running_app(store, checkpoints="diving", result_cache_bytes=0) as app:
        for _ in range(2):
            response = await app.score(clip_bytes(frames=60))
            assert "x-cache" not in response.headers
            assert response.json()["timings_ms"]["inference"] > 0
