"""`POST /rank`: what is wrong with a clip or a request, and how much work it is at once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

CLIPS = [clip_bytes(seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store) as app:
        yield app


async def rank(app: App, clips: list[bytes], **data: Any) -> Any:
    return await app.client.post("/rank", files=[("clips", clip) for clip in clips], data=data)


async def test_its_upload_is_timed_once(store: Store) -> None:
    async with running_app(store) as app:
        assert (await rank(app, CLIPS)).status_code == 200
        metrics = (await app.client.get("/metrics")).text
    assert 'score_stage_seconds_count{stage="upload"} 1.0' in metrics
    assert f'score_stage_seconds_count{{stage="decode"}} {len(CLIPS)}.0' in metrics


async def test_bad_clips_are_reported_in_their_place(app: App) -> None:
    response = await rank(app, [b"no video", CLIPS[0], b"", CLIPS[1], clip_bytes(frames=5)])
    answer = response.json()
    assert response.status_code == 200
    assert sorted(answer["order"]) == [1, 3]
    [pair] = answer["pairs"]
    assert pair["probability"] is None  # the checkpoint for tests is not calibrated
    kinds = [clip["problem"] and clip["problem"]["type"] for clip in answer["clips"]]
    assert kinds == [
        "/problems/not-a-video",
        None,
        "/problems/empty-file",
        None,
        "/problems/unusable-clip",
    ]
    assert [clip["rank"] is None for clip in answer["clips"]] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("clips", "data", "status", "name"),
    [
        (1, {}, 422, "clips"),
        (33, {}, 422, "clips"),
        (2, {"action": ["diving", "vault"]}, 422, "action"),
        (2, {"difficulty": ["3.0"]}, 422, "difficulty"),
        (2, {"difficulty": ["3.0", "x"]}, 422, "difficulty"),
        (2, {"difficulty": ["", "x"]}, 422, "difficulty"),
        (3, {"difficulty": ["", ""]}, 422, "difficulty"),
        (2, {"difficulty": ["3.0", "9"]}, 422, "difficulty"),
        (2, {"dive": ["107B"], "height": ["3"]}, 422, "dive"),
        (2, {"dive": ["107B", ""], "height": ["3"]}, 422, "height"),
        (2, {"dive": ["107B", ""], "height": ["", "3"]}, 422, "height"),
        (2, {"dive": ["101E", ""], "height": ["3", ""]}, 422, "dive"),
        (2, {"dive": ["626C", ""], "height": ["3", ""]}, 422, "height"),
        (
            2,
            {"dive": ["107B", ""], "height": ["3", ""], "difficulty": ["3", ""]},
            422,
            "difficulty",
        ),
        (2, {"action": "vault", "dive": ["", "107B"], "height": ["", "3"]}, 422, "dive"),
        (2, {"checkpoint": "vault@1", "action": "diving"}, 422, "checkpoint"),
        (2, {"include": "frames"}, 422, "include"),
        (2, {"action": "rowing"}, 404, None),
        (40, {}, 400, None),
    ],
)
async def test_what_cannot_be_ranked(
    app: App, clips: int, data: dict[str, Any], status: int, name: str | None
) -> None:
    response = await rank(app, [b"x"] * clips, **data)
    assert response.status_code == status
    if name is not None:
        assert [wrong["name"] for wrong in response.json()["errors"]] == [name]


async def test_dives_by_their_numbers(app: App) -> None:
    plain = (await rank(app, CLIPS[:3], difficulty=["3.1", "", "2.4"])).json()
    dives = {"dive": ["107B", "", ""], "height": ["3", "", ""], "difficulty": ["", "", "2.4"]}
    named = (await rank(app, CLIPS[:3], **dives)).json()
    assert [clip["dive"] and clip["dive"]["number"] for clip in named["clips"]] == [
        "107B",
        None,
        None,
    ]
    assert named["order"] == plain["order"]
    for one, other in zip(named["clips"], plain["clips"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=0.01)
        assert one["execution"] == pytest.approx(other["execution"], abs=0.01)
        assert other["dive"] is None
    wrong = await rank(app, CLIPS[:2], dive=["107B", "1057B"], height=["3", "3"])
    assert wrong.json()["errors"][0]["reason"].startswith("clip 1: '1057B'")


async def test_more_clips_than_there_is_room_for_take_turns(store: Store) -> None:
    """Room for two dives: one request must not refuse itself."""
    async with running_app(store, queue_fragments=18, decode_workers=1) as app:
        response = await rank(app, CLIPS * 2, action=["diving"] * 6)
        assert response.status_code == 200
        assert len(response.json()["order"]) == 6


async def test_what_concerns_all_fails_the_whole(store: Store) -> None:
    async with running_app(store, checkpoints="diving") as app:
        app.service.drain()
        response = await rank(app, CLIPS)
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/draining"
