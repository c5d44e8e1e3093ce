"""Nothing that a client sends is ignored: it counts, or it is named in a 422."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import App, LiveServer, running_app

pytestmark = pytest.mark.anyio

CLIP = clip_bytes(frames=20, height=48, width=64)
PANEL = {"marks": [8, 8, 8, 8, 8], "difficulty": 3.0}
KEY = {"authorization": "Bearer a-key"}


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store, api_keys="a-key") as app:
        app.client.headers.update(KEY)
        yield app


async def wrong(app: App, method: str, path: str, **request: Any) -> dict[str, str]:
    """What the 422 says of each field that it names."""
    response = await app.client.request(method, path, **request)
    assert response.status_code == 422, response.text
    assert response.json()["type"] == "/problems/invalid-parameter"
    return {each["name"]: each["reason"] for each in response.json()["errors"]}


async def test_a_query_string_is_refused_by_every_call(app: App) -> None:
    """The vault that was scored as a dive: `?action=vault&difficulty=5.8`."""
    document = (await app.client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method in operations:
            named = await wrong(
                app,
                method.upper(),
                path.replace("{name}", "diving"),
                params={"action": "vault", "difficulty": "5.8"},
                files={"clip": CLIP} if method == "post" else None,
            )
            assert named.keys() == {"action", "difficulty"}, path
            assert "query string" in named["action"]


@pytest.mark.parametrize(("query", "name"), [("=5", "query"), ("&", "query"), ("a", "a")])
async def test_an_odd_query_string_is_refused_too(app: App, query: str, name: str) -> None:
    assert (await wrong(app, "GET", f"/checkpoints?{query}")).keys() == {name}


async def test_an_empty_one_and_one_of_the_page_are_not(app: App) -> None:
    for path in ("/checkpoints?", "/?utm_source=x", "/web/page.js?v=2", "/docs?x"):
        assert (await app.client.get(path)).status_code == 200


def test_it_is_refused_before_the_body_is_read(local_server: LiveServer) -> None:
    answer = local_server.raw(
        b"POST /score?action=vault HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize(
    ("path", "files", "data", "reasons"),
    [
        ("/score", [("clip", CLIP)], {"action": ["diving", "vault"]}, {"action": "2 times"}),
        ("/score", [("clip", CLIP)], {"difficulty": ["3", "3"]}, {"difficulty": "2 times"}),
        ("/score", [("clip", CLIP), ("clip", CLIP)], {}, {"clip": "2 times"}),
        ("/score", [("clip", CLIP), ("action", b"vault")], {}, {"action": "a file"}),
        ("/score", [("other", b"")], {"clip": "dive.mp4"}, {"clip": "a text", "other": "no such"}),
        ("/score", [("clip", CLIP)], {"clip": "dive.mp4"}, {"clip": "a text"}),
        ("/score", [("clips", CLIP)], {}, {"clips": "did you mean clip?"}),
        ("/score", [("file", CLIP)], {}, {"file": "did you mean clip?"}),
        ("/score", [("clip", CLIP)], {"actoin": "vault"}, {"actoin": "did you mean action?"}),
        ("/score", [("clip", CLIP)], {"Difficulty": "3"}, {"Difficulty": "mean difficulty?"}),
        ("/score", [("clip", CLIP)], {"judge": "x"}, {"judge": "There are action, checkpoint,"}),
        ("/rank", [("clip", CLIP), ("clip", CLIP)], {}, {"clip": "did you mean clips?"}),
        ("/rank", [("clips", CLIP)] * 2, {"checkpoint": ["a@1"] * 2}, {"checkpoint": "2 times"}),
        ("/rank", [("clips", CLIP)], {"clips": "dive.mp4"}, {"clips": "a text"}),
        ("/score", [("clip", CLIP)], {"dive": ["107B"] * 2}, {"dive": "2 times"}),
        ("/rank", [("clips", CLIP)] * 2, {"start_s": "1"}, {"start_s": "There are action,"}),
    ],
)  # fmt: skip
async def test_a_field_that_does_not_count_is_named(
    app: App, path: str, files: Any, data: Any, reasons: dict[str, str]
) -> None:
    named = await wrong(app, "POST", path, files=files, data=data)
    assert named.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in named[name]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"marks": [8, 8, 8, 8, 8], "marks": [9, 9, 9, 9, 9], "difficulty": 3}', "marks"),
        ('{"marks": [8, 8, 8, 8, 8], "difficulty": 2, "difficulty": 3}', "difficulty"),
        ('{"marks": [8, 8, 8, 8, 8], "difficulty": 3, "deductoins": 1}', "deductoins"),
    ],
)
async def test_so_is_a_key_that_json_has_twice(app: App, text: str, name: str) -> None:
    headers = {"content-type": "application/json"}
    assert (await wrong(app, "POST", "/panel", content=text, headers=headers)).keys() == {name}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("marks=8,8,8,8,8&marks=9,9,9,9,9&difficulty=3", "marks"),
        ("marks=8,8,8,8,8&difficulty=3&judges=", "judges"),
        ("&".join(f"f{i}=1" for i in range(40)), "body"),
    ],
)
async def test_a_panel_form_with_fields_that_do_not_count_is_refused(
    app: App, text: str, name: str
) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await wrong(app, "POST", "/panel", content=text, headers=headers)).keys() == {name}


async def test_an_empty_field_is_one_that_was_left_out(app: App) -> None:
    empty = {"checkpoint": "", "difficulty": "", "marks": "", "include": ""}
    assert (await app.score(CLIP, action="diving", **empty)).status_code == 200
    form = "marks=8,8,8,8,8&difficulty=3&deductions="
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await app.client.post("/panel", content=form, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("media", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.meet+json", True),
        ("application/vnd/json", False),
        ("application/jsonl", False),
        ("text/json", False),
        ("text/plain", False),
        ("", False),
    ],
)
async def test_all_calls_agree_on_what_json_is(app: App, media: str, is_json: bool) -> None:
    dive = {"marks": [8, 8, 8, 8, 8], "difficulty": 3}
    for path, body in (("/panel", dive), ("/panel/meet", {"dives": [dive]})):
        sent = json.dumps(body)
        response = await app.client.post(path, content=sent, headers={"content-type": media})
        assert response.status_code == (200 if is_json else 422), (path, response.text)
        if not is_json:
            [found] = response.json()["errors"]
            assert (found["name"], "application/json" in found["reason"]) == ("body", True)


@pytest.mark.parametrize(
    "body",
    [b"[" * 50_000, b'{"marks": "\xff"}', b"\xff\xfe{", b'{"marks": [8], "difficulty": 1e999}'],
    ids=["deep", "no UTF-8", "half UTF-16", "infinite"],
)
async def test_json_that_is_none_is_the_clients_fault(app: App, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await app.client.post("/panel", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert "multipart" not in response.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("authorization", "Bearer a-key"), ("authorization", "Bearer other")], 400),
        ([("authorization", "Bearer a-key"), ("content-encoding", "gzip")], 400),
        ([("authorization", "Bearer a-key"), ("content-type", "text/plain")], 400),
        ([("authorization", "Bearer a-key"), ("content-encoding", "identity")], 200),
        ([("authorization", "Bearer a-key"), ("x", "y" * 17_000)], 431),
        ([("authorization", "Bearer a-key"), ("x", "y" * 15_000)], 200),
    ],
    ids=["two keys", "compressed", "two types", "as it is", "large", "not so large"],
)
async def test_a_header_is_not_ignored_either(
    app: App, headers: list[tuple[str, str]], status: int
) -> None:
    kind = ("content-type", "application/json")
    app.client.headers.pop("authorization")
    try:
        response = await app.client.post(
            "/panel", content=json.dumps(PANEL), headers=[kind, *headers]
        )
    finally:
        app.client.headers.update(KEY)
    assert response.status_code == status
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 30_000, "nested too deeply"),
        (b'{"marks":' * 5_000, "nested too deeply"),
        (b'{"marks": "\xff"}', "not in UTF-8"),
        (b'{"marks": [' + b"9" * 5_000 + b"]}", "too many digits"),
        (b'{"marks": [1', "not JSON at character 12"),
        (b"", "not JSON at character 0"),
        (b'{"action": "\\ud800", "marks": [1, 2, 3], "difficulty": 1}', "\ud800"),
    ],
    ids=["deep", "deep object", "UTF-8", "digits", "cut off", "empty", "surrogate"],
)
async def test_json_that_cannot_be_parsed_is_called_that(
    app: App, body: bytes, reason: str
) -> None:
    headers = {"content-type": "application/json"}
    response = await app.client.post("/panel", content=body, headers=headers)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-parameter"
    assert reason in response.json()["detail"]
