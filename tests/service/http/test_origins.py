"""Pages of other origins: what a browser would let them send and read."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server, running_app

pytestmark = pytest.mark.anyio

HERE, THERE = "https://judges.example", "https://evil.example"
KEY = {"authorization": "Bearer a-key"}
SMALL = clip_bytes(frames=20, height=48, width=64)


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings: dict[str, Any] = {
        "allowed_origins": f"{HERE}, http://localhost:5173",
        "api_keys": "a-key",
        "checkpoints": "diving",
        "queue_fragments": 9,
    }
    with live_server(store.root, tmp_path_factory.mktemp("origins"), **settings) as server:
        yield server


def preflight(server: LiveServer, path: str, origin: str, headers: str = "") -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    if headers:
        asked["access-control-request-headers"] = headers
    return httpx.options(server.url + path, headers=asked)


@pytest.mark.parametrize("path", ["/score", "/rank", "/admin/reload", "/nothing"])
def test_a_preflight_needs_no_key(server: LiveServer, path: str) -> None:
    allowed = preflight(server, path, HERE, "authorization, x-request-id")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == HERE
    assert "Authorization" in allowed.headers["access-control-allow-headers"]
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["x-request-id"]
    refused = preflight(server, path, THERE)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    ("method", "path", "request_", "status"),
    [
        ("GET", "/checkpoints", {"headers": KEY}, 200),
        ("GET", "/web/client.js", {}, 200),
        ("POST", "/score", {"headers": KEY, "files": {"clip": SMALL}}, 200),
        ("POST", "/score", {"files": {"clip": SMALL}}, 401),
        ("POST", "/panel", {"headers": KEY, "json": {"marks": [8] * 40_000}}, 413),
        ("POST", "/score", {"headers": KEY, "files": {"clip": b"no video"}}, 415),
        ("POST", "/score?a=b", {"headers": KEY, "files": {"clip": SMALL}}, 422),
        ("GET", "/nothing", {"headers": KEY}, 404),
        ("PUT", "/score", {"headers": KEY}, 405),
    ],
)
def test_answers_and_errors_can_be_read(
    server: LiveServer, method: str, path: str, request_: dict[str, object], status: int
) -> None:
    for origin, allowed in ((HERE, HERE), ("http://localhost:5173", "http://localhost:5173"),
                            (THERE, None)):  # fmt: skip
        headers = {"origin": origin, **request_.get("headers", {})}  # type: ignore[dict-item]
        asked = request_ | {"headers": headers}
        answer = httpx.request(method, server.url + path, timeout=60, **asked)  # type: ignore[arg-type]
        assert answer.status_code == status
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "origin" in answer.headers["vary"].lower()
        if allowed:
            exposed = answer.headers["access-control-expose-headers"].lower()
            for name in ("x-request-id", "retry-after", "server-timing", "x-cache"):
                assert name in exposed


def test_events_too(server: LiveServer) -> None:
    headers = KEY | {"origin": HERE, "accept": "text/event-stream"}
    answer = httpx.post(f"{server.url}/score", files={"clip": SMALL}, headers=headers, timeout=60)
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "event: result" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "{own}"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "{own}"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"}, 403),
        ({"origin": THERE}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "{own}.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": HERE}, 403),
    ],
)
def test_what_pages_of_other_origins_send_is_refused(
    local_server: LiveServer, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(own=local_server.url) for name, value in headers.items()}
    form = {"marks": "8,8,8,8,8", "difficulty": "3"}
    answer = httpx.post(f"{local_server.url}/panel", data=form, headers=sent)
    assert answer.status_code == status
    assert httpx.get(f"{local_server.url}/checkpoints", headers=sent).status_code == 200
    if status == 403:
        assert answer.json()["type"] == "/problems/foreign-origin"
        for method, path in (("POST", "/score"), ("POST", "/rank"), ("DELETE", "/clips/a")):
            refused = httpx.request(method, local_server.url + path, headers=sent)
            assert refused.status_code == 403, path


async def test_allowed_origins_may_send_without_a_key(store: Store) -> None:
    for allowed in (HERE, "*"):
        async with running_app(store, allowed_origins=allowed) as app:
            for origin in (HERE, THERE):
                sent = {"origin": origin, "sec-fetch-site": "cross-site"}
                form = {"marks": "8,8,8,8,8", "difficulty": "3"}
                answer = await app.client.post("/panel", data=form, headers=sent)
                assert answer.status_code == (200 if allowed in ("*", origin) else 403)


def test_without_the_setting_no_origin_is_allowed(local_server: LiveServer) -> None:
    answer = preflight(local_server, "/score", HERE)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]
    listed = httpx.get(f"{local_server.url}/checkpoints", headers={"origin": HERE})
    assert "access-control-allow-origin" not in listed.headers
