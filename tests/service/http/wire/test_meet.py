"""The judges of a meet over HTTP: the figures, and what is refused."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from model_store.judging.meet import MeetDive, judge_meet
from model_store.store import Store
from service.http import routes
from service.http.wire.meet import MOST_DIVES, judged_meet
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

DIVES: list[dict[str, Any]] = [
    {"diver": "Anna", "dive": "107B", "height": 3, "marks": [8.5, 8, 8, 8.5, 9]},
    {"diver": "Anna", "dive": "205b", "height": 3, "marks": [7.5, 7, 7, 7.5, 8]},
    {"diver": "Ben", "dive": None, "difficulty": 2.4, "marks": [6, 6.5, 6, 5.5, 6]},
    {"diver": "Ben", "difficulty": 2.0, "marks": "6,5 6 6,5 5,5 9,5"},
    {"difficulty": "2,0", "marks": [7, None, 7, 7.5, None]},
]


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store) as app:
        yield app


AS_NUMBERS: dict[str, Any] = {"2,0": 2.0, "6,5 6 6,5 5,5 9,5": (6.5, 6, 6.5, 5.5, 9.5)}


def as_computed(dive: dict[str, Any]) -> MeetDive:
    fields = {
        name: AS_NUMBERS.get(value, value) if isinstance(value, str) else value
        for name, value in dive.items()
    }
    return MeetDive(**fields | {"marks": tuple(fields["marks"])})


async def test_the_figures_are_the_judgings(app: App) -> None:
    response = await app.client.post("/panel/meet", json={"action": "diving", "dives": DIVES})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    meet = judge_meet("diving", [as_computed(dive) for dive in DIVES])
    assert answer["coverage"] == 0.9
    assert answer["rules"] == [meet.dives[0].panel.rule, meet.dives[4].panel.rule]
    for shown, judge in zip(answer["judges"], meet.judges, strict=True):
        assert shown["judge"] == judge.judge
        assert shown["dives"] == judge.dives
        assert shown["bias"] == judge.bias
        assert shown["spread"] == judge.spread
        assert shown["agreement"] == judge.agreement
        assert shown["bias_real_share"] == judge.bias_real_share
        assert shown["out_of_line"] == judge.out_of_line
        low_high = shown["bias_interval"] and tuple(shown["bias_interval"].values())
        assert low_high == judge.bias_interval
    for index, (shown, dive) in enumerate(zip(answer["dives"], meet.dives, strict=True)):
        assert shown["index"] == index
        assert shown["total"] == dive.panel.total
        assert shown["diver"] == dive.diver
    assert answer["dives"][0]["dive"]["name"] == "forward 3½ somersaults, pike"
    assert answer["dives"][1]["dive"]["number"] == "205B"
    assert answer["dives"][2]["dive"] is None
    assert answer["dives"][3]["out_of_line"] == [5]


async def test_vault(app: App) -> None:
    dives = [{"difficulty": 5.8, "deductions": 0.1, "marks": [9.0, 9.1, 9.2, 8.9]}]
    answer = (await app.client.post("/panel/meet", json={"action": "vault", "dives": dives})).json()
    assert answer["dives"][0]["total"] == 14.75
    assert answer["judges"][0]["bias_real_share"] is None


GOOD = DIVES[0]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, ["dives"]),
        ({"dives": []}, ["dives"]),
        ({"dives": {}}, ["dives"]),
        ({"dives": [[]]}, ["dives"]),
        ({"dives": None}, ["dives"]),
        ({"dives": [GOOD] * (MOST_DIVES + 1)}, ["dives"]),
        ({"dives": [{"a": 1}] * 10_000}, ["dives"]),
        ({"dives": [GOOD], "meet": "x"}, ["meet"]),
        ({"dives": [GOOD], "action": "skating"}, ["marks"]),
        ({"dives": [GOOD], "action": 3}, ["action"]),
        ({"dives": [GOOD | {"judges": 5}]}, ["dives[0].judges"]),
        ({"dives": [GOOD, {"difficulty": 2.0}]}, ["dives[1].marks"]),
        ({"dives": [GOOD | {"marks": []}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [None] * 5}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [8] * 12}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [8, 8, True, 8, 8]}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [8, 8, [8], 8, 8]}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [[8] * 5]}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": {"1": 8}}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": "8,5,8,8,5"}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": "8 " * 50_000}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [8, 8, 8, 8, 10.5]}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"marks": [8, 8, 8, 8, "1e400"]}]}, ["dives[0].marks"]),
        ({"dives": [GOOD | {"dive": "101E"}]}, ["dives[0].dive"]),
        ({"dives": [GOOD | {"dive": "1" * 10_000}]}, ["dives[0].dive"]),
        ({"dives": [GOOD | {"dive": 107}]}, ["dives[0].dive"]),
        ({"dives": [GOOD | {"height": None}]}, ["dives[0].height"]),
        ({"dives": [GOOD | {"height": 2}]}, ["dives[0].height"]),
        ({"dives": [GOOD | {"height": True}]}, ["dives[0].height"]),
        ({"dives": [GOOD | {"dive": "626C"}]}, ["dives[0].height"]),
        ({"dives": [GOOD | {"difficulty": 3.0}]}, ["dives[0].difficulty"]),
        ({"dives": [GOOD | {"difficulty": True}]}, ["dives[0].difficulty"]),
        ({"dives": [GOOD | {"deductions": 1}]}, ["dives[0].deductions"]),
        ({"dives": [GOOD | {"diver": "x" * 10_000}]}, ["dives[0].diver"]),
        ({"dives": [GOOD | {"diver": 7}]}, ["dives[0].diver"]),
        ({"dives": [GOOD], "action": "vault"}, ["dives[0].dive"]),
        (
            {"dives": [GOOD | {"dive": "1057B"}, GOOD, GOOD | {"height": 4, "diver": None}]},
            ["dives[0].dive", "dives[2].height"],
        ),
        ({"dives": [GOOD | {"dive": "x"}] * 20}, [f"dives[{index}].dive" for index in range(16)]),
    ],
)
async def test_what_is_wrong_is_named(app: App, body: dict[str, Any], names: list[str]) -> None:
    response = await app.client.post("/panel/meet", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "/problems/invalid-parameter"
    assert [wrong["name"] for wrong in problem["errors"]] == names
    assert len(response.content) < 8000


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"dives": [{"marks": [8, 8, NaN], "difficulty": 2}]}', ["dives[0].marks"]),
        ('{"dives": [{"marks": [8, 8, 1e400], "difficulty": 2}]}', ["dives[0].marks"]),
        ('{"dives": [{"marks": [8, 8, 8], "difficulty": Infinity}]}', ["dives[0].difficulty"]),
        ('{"dives": [{"marks": [8, 8], "marks": [9, 9], "difficulty": 2}]}', ["dives[0].marks"]),
        ('{"dives": [], "dives": []}', ["dives"]),
        ('{"dives": [{"marks": [' + "9" * 5000 + "]}]}", ["body"]),
        ('{"dives": ' + "[" * 50_000, ["body"]),
        ('{"dives": [', ["body"]),
        ('["dives"]', ["body"]),
        ("null", ["body"]),
        ("", ["body"]),
    ],
)
async def test_so_is_what_only_a_text_can_have(app: App, text: str, names: list[str]) -> None:
    headers = {"content-type": "application/json"}
    response = await app.client.post("/panel/meet", content=text, headers=headers)
    assert response.status_code == 422, response.text
    assert [wrong["name"] for wrong in response.json()["errors"]] == names


@pytest.mark.parametrize(
    "request_",
    [
        {"data": {"dives": "[]"}},
        {"files": {"dives": b"[]"}},
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
    ],
)
async def test_it_needs_json(app: App, request_: dict[str, Any]) -> None:
    response = await app.client.post("/panel/meet", **request_)
    assert response.status_code == 422
    assert response.json()["errors"] == [{"name": "body", "reason": "need application/json"}]


async def test_a_body_that_is_too_large_is_413(app: App) -> None:
    response = await app.client.post("/panel/meet", json={"dives": ["x" * 300_000]})
    assert response.status_code == 413


async def test_the_largest_meet_keeps_nobody_waiting(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are computed on a thread: another request is answered before they are there."""
    release = threading.Event()

    def slowly(body: bytes) -> bytes:
        assert release.wait(20)
        return judged_meet(body)

    monkeypatch.setattr(routes, "judged_meet", slowly)
    body = json.dumps({"dives": [GOOD | {"diver": f"diver {i // 6}"} for i in range(MOST_DIVES)]})
    headers = {"content-type": "application/json"}
    try:
        busy = asyncio.create_task(
            app.client.post("/panel/meet", content=body, headers=headers, timeout=60)
        )
        assert (await app.client.get("/livez")).status_code == 200
        await asyncio.sleep(0.2)
        assert not busy.done()
    finally:
        release.set()
    answer = (await busy).json()
    assert len(answer["dives"]) == MOST_DIVES
    assert answer["judges"][0]["dives"] == MOST_DIVES
