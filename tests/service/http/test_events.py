"""The events of a request: in order, with its result or problem, and stopped with its client."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from model_store.store import Store
from service.errors import NotAcceptable
from service.http import events
from tests.clips import clip_bytes, large_clip
from tests.servers import App, LiveServer, running_app

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store, checkpoints="diving") as app:
        yield app


async def events_of(app: App, clip: bytes, **fields: str) -> list[tuple[str, Any]]:
    response = await app.client.post("/score", files={"clip": clip}, data=fields, headers=EVENTS)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.strip().split("\n\n"):
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.anyio
async def test_events_in_order_with_the_usual_answer(app: App) -> None:
    plain = (await app.score(clip_bytes(), difficulty="3.0", marks="8,8,8,8,8")).json()
    found = await events_of(app, clip_bytes(), difficulty="3.0", marks="8,8,8,8,8")
    names = [name for name, _ in found]
    assert names == ["queued", *["decoding"] * (len(names) - 3), "scoring", "result"]
    decoded = [data for name, data in found if name == "decoding"]
    assert {data["of"] for data in decoded} == {151}
    assert [data["done"] for data in decoded] == sorted(data["done"] for data in decoded)
    assert decoded[-1]["done"] == 151
    result = found[-1][1]
    assert result.keys() == plain.keys()
    assert result["score"] == pytest.approx(plain["score"], abs=1e-3)
    assert result["panel"]["total"] == plain["panel"]["total"] == 72.0


@pytest.mark.anyio
async def test_a_problem_is_the_last_event_and_counted(app: App) -> None:
    def count(name: str, **labels: str) -> float:
        return app.service.metrics.registry.get_sample_value(name, labels) or 0.0

    before = count("score_requests_total", outcome="unsupported")
    found = await events_of(app, b"no video")
    assert [name for name, _ in found] == ["queued", "problem"]
    assert found[-1][1]["type"] == "/problems/not-a-video"
    assert found[-1][1]["request_id"]
    assert count("score_requests_total", outcome="unsupported") == before + 1
    assert count("score_rejected_total", reason="not-a-video") >= 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"difficulty": "9"}, 422),
        ({"action": "rowing"}, 404),
        ({"start_s": "3", "end_s": "2"}, 422),
    ],
)
async def test_what_is_wrong_before_the_first_event_keeps_its_status(
    app: App, fields: dict[str, str], status: int
) -> None:
    response = await app.client.post(
        "/score", files={"clip": clip_bytes()}, data=fields, headers=EVENTS
    )
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.anyio
async def test_silence_is_broken_by_comments(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SILENCE_S", 0.01)
    response = await app.client.post("/score", files={"clip": clip_bytes()}, headers=EVENTS)
    assert ": ping\n\n" in response.text
    assert response.text.count("event: result") == 1


def test_a_client_that_leaves_stops_its_work(server: LiveServer) -> None:
    def sample(name: str) -> float:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        values = [float(line.split()[-1]) for line in lines if line.startswith(name)]
        return sum(values)

    before = sample("score_dropped_total{")
    with httpx.stream(
        "POST", f"{server.url}/score", files={"clip": large_clip(frames=300)}, headers=EVENTS
    ) as r:
        assert next(r.iter_lines()) == "event: queued"
    deadline = time.monotonic() + 60
    while sample("score_dropped_total{") == before or sample("score_queue_fragments") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.score(clip_bytes()).status_code == 200


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ([], False),
        (["text/event-stream"], True),
        (["Text/Event-Stream; charset=utf-8"], True),
        (["application/json, text/event-stream;q=0"], False),
        (["application/json, text/event-stream;q=0.1"], False),
        (["application/json;q=0.5, text/event-stream;q=0.6"], True),
        (["application/json, text/event-stream"], False),
        (["application/json", "text/event-stream;q=0.9"], False),
        (["application/json;q=0.1", "text/event-stream"], True),
        (["text/event-stream, */*"], True),
        (["text/event-stream, */*;q=0.1"], True),
        (["text/event-stream;q=0.5, */*"], False),
        (["text/*, application/json;q=0"], True),
        (["text/*;q=0.9, */*;q=0.8"], True),
        (["text/*, text/event-stream;q=0"], False),
        (["*/*"], False),
        (["application/*"], False),
        (["text/html"], False),
        (["text/html, text/event-stream;q=nonsense"], False),
        (["text/event-stream;q=1.5"], False),
        (['a/b;x="text/event-stream, y"'], False),
        ([""], False),
    ],
)
def test_accept_is_negotiated(accept: list[str], wanted: bool) -> None:
    assert events.wants_events(accepting(accept)) is wanted


@pytest.mark.parametrize(
    "accept", ["*/*;q=0", "application/json;q=0", "application/*;q=0, text/event-stream;q=0.0"]
)
def test_who_refuses_every_form_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json or text/event-stream"):
        events.wants_events(accepting([accept]))


def accepting(accept: list[str]) -> Request:
    headers = [(b"accept", each.encode()) for each in accept]
    return Request({"type": "http", "headers": headers})
