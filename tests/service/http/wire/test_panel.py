"""The panel check over HTTP."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

MARKS = "8.5,8,8,8.5,9,8,3"
DIVE: dict[str, Any] = {"action": "diving", "difficulty": 3.3}


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store) as app:
        yield app


async def test_with_a_clip_the_model_is_on_the_marks_scale(app: App) -> None:
    plain = (await app.score(clip_bytes(), difficulty="3.3")).json()
    answer = (await app.score(clip_bytes(), difficulty="3.3", marks=MARKS)).json()
    panel = answer["panel"]
    assert "panel" not in plain
    assert answer["score"] == pytest.approx(plain["score"], abs=1e-3)
    assert panel["total"] == 80.85
    assert panel["out_of_line"] == [7]
    assert panel["model"]["mark"] == pytest.approx(answer["execution"] / 3)
    assert panel["model"]["agrees"] is None  # the checkpoint for tests is not calibrated
    for judge in panel["judges"]:
        assert judge["from_model"] == pytest.approx(judge["mark"] - panel["model"]["mark"])


@pytest.mark.parametrize(
    "body",
    [
        {"json": DIVE | {"marks": [8.5, 8, 8, 8.5, 9, 8, 3]}},
        {"json": DIVE | {"marks": MARKS}},
        {"data": DIVE | {"marks": MARKS}},
        {"data": {"difficulty": "3.3", "marks": "8.5, 8, 8, 8.5, 9, 8, 3"}},
        {"data": {"difficulty": "3.3", "marks": "8.5 8 8 8.5  9 8 3"}},
    ],
    ids=["list", "text", "form", "commas and spaces", "spaces"],
)
async def test_without_a_clip(app: App, body: dict[str, Any]) -> None:
    response = await app.client.post("/panel", **body)
    panel = response.json()
    assert response.status_code == 200
    assert panel["total"] == 80.85
    assert panel["out_of_line"] == [7]
    assert panel["model"] is None
    assert all(judge["from_model"] is None for judge in panel["judges"])


NAMED = {
    "number": "107B",
    "height_m": 3.0,
    "name": "forward 3½ somersaults, pike",
    "difficulty": 3.1,
}


async def test_a_dive_by_its_number_has_its_difficulty(app: App) -> None:
    plain = (await app.score(clip_bytes(), difficulty="3.1", marks=MARKS)).json()
    for given in ({"dive": "107b", "height": "3"}, {"dive": "107 B", "height": "3.0"}):
        for more in ({}, {"difficulty": "3.1"}):
            answer = (await app.score(clip_bytes(), marks=MARKS, **given, **more)).json()
            assert answer["dive"] == answer["panel"]["dive"] == NAMED
            assert answer["difficulty"] == 3.1
            for name in ("score", "execution", "interval", "scored_by"):
                assert answer[name] == plain[name]
            assert answer["panel"]["total"] == plain["panel"]["total"]
    assert plain["dive"] is plain["panel"]["dive"] is None
    undeclared = (await app.score(clip_bytes())).json()
    assert undeclared["dive"] is undeclared["difficulty"] is None


@pytest.mark.parametrize(
    ("fields", "name", "what"),
    [
        ({"dive": "107B"}, "height", "missing"),
        ({"height": "3"}, "dive", "missing"),
        ({"dive": "101E", "height": "3"}, "dive", "position E"),
        ({"dive": "1057B", "height": "3"}, "dive", "57 half somersaults"),
        ({"dive": "626C", "height": "3"}, "height", "armstand"),
        ({"dive": "107B", "height": "4"}, "height", "4, need 1 or 3"),
        ({"dive": "107B", "height": "nan"}, "height", "need a number"),
        ({"dive": "107B", "height": "1e400"}, "height", "need a number"),
        ({"dive": "x" * 4000, "height": "3"}, "dive", "no dive number"),
        ({"dive": "107B", "height": "3", "difficulty": "3.0"}, "difficulty", "3, but 107B .* 3.1"),
        ({"dive": "107B", "height": "3", "action": "vault"}, "dive", "vault has none"),
        ({"height": "3", "action": "vault"}, "height", "vault has none"),
    ],
)
async def test_a_dive_that_there_is_not(
    app: App, fields: dict[str, str], name: str, what: str
) -> None:
    panel = {"marks": "8,8,8,8,8"} | fields
    for response in (
        await app.score(clip_bytes(), **fields),
        await app.client.post("/panel", data=panel),
        await app.client.post("/panel", json=panel),
    ):
        assert response.status_code == 422
        [wrong] = response.json()["errors"]
        assert wrong["name"] == name
        assert re.search(what, wrong["reason"])
        assert len(wrong["reason"]) < 300


@pytest.mark.parametrize("body", ["json", "data"])
async def test_a_panel_of_a_dive(app: App, body: str) -> None:
    fields = {"marks": "8,5 8 8", "dive": "107B", "height": 3}
    panel = (await app.client.post("/panel", **{body: fields})).json()  # type: ignore[arg-type]
    assert panel["total"] == round(24.5 * 3.1, 3)
    assert panel["dive"] == NAMED
    assert "All three marks count" in panel["rule"]


async def test_a_text_that_can_be_read_in_two_ways_is_explained(app: App) -> None:
    for response in (
        await app.score(clip_bytes(), difficulty="3", marks="8,5,8,8,5"),
        await app.client.post("/panel", data={"difficulty": "3", "marks": "8,5,8,8,5"}),
    ):
        assert response.status_code == 422
        [wrong] = response.json()["errors"]
        assert wrong["name"] == "marks"
        assert "two ways" in wrong["reason"]
        assert "spaces" in wrong["reason"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"marks": MARKS}, "difficulty"),
        ({"marks": "8,8,8,8", "difficulty": "3"}, "marks"),
        ({"marks": "8,8,x,8,8", "difficulty": "3"}, "marks"),
        ({"marks": "8,8,8,8,11", "difficulty": "3"}, "marks"),
        ({"marks": "", "difficulty": "3", "deductions": "1"}, "deductions"),
        ({"difficulty": "9"}, "difficulty"),
        ({"action": "vault", "difficulty": "20"}, "difficulty"),
        ({"deductions": "1"}, "deductions"),
    ],
)
async def test_bad_fields_with_a_clip(app: App, fields: dict[str, str], name: str) -> None:
    response = await app.score(clip_bytes(), **fields)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-parameter"
    assert [wrong["name"] for wrong in response.json()["errors"]] == [name]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"json": {"marks": [8] * 7}}, "difficulty"),
        ({"json": {"marks": [8] * 6, "difficulty": 3}}, "marks"),
        ({"json": {"marks": [8, "x"], "difficulty": 3}}, "marks"),
        ({"json": DIVE | {"marks": [8] * 7, "deductions": 1}}, "deductions"),
        ({"json": DIVE | {"marks": [8] * 7, "judges": 7}}, "judges"),
        ({"json": [8, 8, 8]}, "body"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "body"),
        ({"files": {"marks": b"8"}}, "body"),
        ({"content": b"marks=8"}, "body"),
    ],
)
async def test_bad_fields_without_one(app: App, body: dict[str, Any], name: str) -> None:
    response = await app.client.post("/panel", **body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["name"] == name


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"difficulty": "3_3"}, "difficulty"),
        ({"difficulty": True}, "difficulty"),
        ({"deductions": "٠"}, "deductions"),
        ({"marks": "8,5,8,8,8,5,9"}, "marks"),  # commas that may be decimal commas
        ({"marks": [8, 8, True, 8, 8]}, "marks"),
    ],
)
async def test_numbers_are_plain_ones(app: App, wrong: dict[str, Any], name: str) -> None:
    response = await app.client.post("/panel", json=DIVE | {"marks": MARKS} | wrong)
    assert response.status_code == 422
    assert response.json()["errors"][0]["name"] == name


async def test_marks_with_a_clip_may_have_spaces(app: App) -> None:
    answer = await app.score(clip_bytes(), difficulty="3.3", marks=MARKS.replace(",", " "))
    assert answer.json()["panel"]["total"] == 80.85
    refused = await app.score(clip_bytes(), difficulty="3.3", marks="8_0 8 8 8 8")
    assert refused.json()["errors"][0]["name"] == "marks"
