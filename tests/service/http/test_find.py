"""`find=true` at POST /score: the routine of a longer recording, through the confined decoder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_store.store import Store
from service.http.wire.score import ScoreForm
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.recordings import FPS, NEAR, uncut_dive, uncut_file
from tests.servers import App, running_app
from tests.service.http.test_events import events_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store, result_cache_bytes=1 << 20) as app:
        yield app


async def test_the_routine_is_found_and_scored(app: App) -> None:
    [routine] = uncut_dive().routines
    found = (await app.score(uncut_file(), find="true")).json()
    begin, end = found["found_s"]
    assert abs(begin - routine.start / FPS) <= NEAR / FPS
    assert abs(end - routine.stop / FPS) <= NEAR / FPS
    assert found["fragments"][-1]["end_s"] <= end + 0.001
    assert "trimmed" not in found["review_reasons"]

    told = (await app.score(uncut_file(), start_s=str(begin), end_s=str(end))).json()
    assert told["score"] == found["score"]
    assert told["fragments"] == found["fragments"]
    assert told["found_s"] is told["second_choice_s"] is None

    last = (await app.score(uncut_file())).json()
    assert last["score"] != found["score"]
    assert "trimmed" in last["review_reasons"]


async def test_it_is_kept_apart_from_what_was_not_searched(app: App) -> None:
    clip = clip_bytes(frames=170, seed=41)
    caches = [
        (await app.score(clip, **fields)).headers["x-cache"]
        for fields in ({"find": "true"}, {}, {"find": "false"}, {"find": "true"})
    ]
    assert caches == ["miss", "miss", "hit", "hit"]


async def test_only_a_part_is_searched(app: App) -> None:
    [routine] = uncut_dive().routines
    start = round((routine.start - 30) / FPS, 3)
    found = (await app.score(uncut_file(), find="true", start_s=str(start))).json()
    assert found["found_s"][0] >= start
    missed = await app.score(uncut_file(), find="true", start_s="500")
    assert missed.status_code == 422
    assert missed.json()["type"] == "/problems/invalid-trim"


async def test_a_clip_needs_no_search(app: App) -> None:
    clip = clip_bytes(frames=100)
    found = (await app.score(clip, find="true")).json()
    plain = (await app.score(clip)).json()
    assert found["found_s"] == [0.0, round(100 / 30, 4)]
    assert found["second_choice_s"] is None
    assert found["score"] == plain["score"]
    assert found["warnings"] == plain["warnings"]


async def test_progress_counts_all_frames(app: App) -> None:
    clip = clip_bytes(frames=200, seed=42)
    events = await events_of(app, clip, find="true")
    assert events[0][0] == "queued"
    assert {data["of"] for name, data in events if name == "decoding"} == {200}
    assert events[-1][0] == "result"
    assert len(events[-1][1]["found_s"]) == 2


async def test_a_value_that_is_neither_true_nor_false(app: App) -> None:
    response = await app.score(clip_bytes(frames=100), find="perhaps")
    assert response.status_code == 422
    assert [error["name"] for error in response.json()["errors"]] == ["find"]
    assert "find" in ScoreForm.model_fields


async def test_an_action_that_nobody_can_find(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish_tiny(store, "aqa-7-ski")
    async with running_app(store) as other:
        [listed] = (await other.client.get("/checkpoints")).json()["checkpoints"]
        assert listed["can_find"] is False
        response = await other.score(clip_bytes(frames=170), find="true")
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["name"] == "find"
    assert "diving and vault" in error["reason"]


async def test_a_recording_that_shows_nothing(app: App) -> None:
    """Squares that wander about: a score, and the warning that it means nothing."""
    answer = (await app.score(clip_bytes(frames=300, seed=43), find="true")).json()
    assert "no_routine" in answer["warnings"]
    assert "no_routine" in answer["review_reasons"]
