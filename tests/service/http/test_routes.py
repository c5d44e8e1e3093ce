"""The application without a network: its answers, and what happens when things go wrong inside."""

import asyncio
import base64
import io
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import av
import httpx
import numpy as np
import pytest

from model_store.clip import load_clip
from model_store.errors import EngineError
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.store import Store
from service.scoring.lifecycle import CheckpointLoader
from service.scoring.scoring_service import Phase
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store) as app:
        yield app


@contextmanager
def held() -> Iterator[None]:
    """The engine is busy with the first clips that come until the block ends."""
    release, score = threading.Event(), Scorer.score

    def slowly(self: Scorer, clips: Any) -> list[Score]:
        release.wait(30)
        return score(self, clips)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scorer, "score", slowly)
        try:
            yield
        finally:
            release.set()


async def waiting(app: App) -> float:
    """Decoded clips that wait for the engine or are in it."""
    return await metric(app, "score_queue_clips") - app.service.decoding


async def metric(app: App, name: str, **labels: str) -> float:
    return app.service.metrics.registry.get_sample_value(name, labels) or 0.0


async def until(app: App, name: str, value: float, **labels: str) -> None:
    async with asyncio.timeout(20):
        while await metric(app, name, **labels) < value:
            await asyncio.sleep(0.01)


async def test_the_answer_is_the_scorers(app: App, store: Store) -> None:
    content = clip_bytes(frames=100)
    response = await app.score(content, action="diving", difficulty="3.2")
    assert response.status_code == 200
    answer = response.json()
    checkpoint = store.load("diving")
    [expected] = Scorer(checkpoint, "torch").score([load_clip(content, checkpoint.spec)])
    assert answer["score"] == pytest.approx(expected.score, abs=1e-3)
    assert answer["baseline"] == pytest.approx(expected.baseline, abs=1e-3)
    for fragment, i in zip(answer["fragments"], range(9), strict=True):
        assert fragment["index"] == i
        assert fragment["contribution"] == pytest.approx(expected.contribution[i], abs=1e-3)
        assert fragment["alone"] == pytest.approx(expected.alone[i], abs=1e-3)
        assert fragment["without"] == pytest.approx(expected.without[i], abs=1e-3)
        assert fragment["blank"] is expected.blank[i]
    total = answer["baseline"] + sum(f["contribution"] for f in answer["fragments"])
    assert total == pytest.approx(answer["score"], abs=1e-3)
    assert answer["difficulty"] == 3.2
    assert answer["execution"] == pytest.approx(answer["score"] / 3.2)
    assert answer["checkpoint"] == {
        "name": "diving",
        "version": 1,
        "sha256": checkpoint.sha256,
        "trained_on": "simulated",
        "engine": "torch",
    }
    assert answer["request_id"] == response.headers["x-request-id"]


async def test_a_part_of_a_longer_clip(app: App) -> None:
    answer = (await app.score(clip_bytes(frames=300), start_s="2", end_s="4")).json()
    assert answer["fragments"][0]["start_s"] == pytest.approx(2.0)
    assert answer["clip"]["frames"] == 60
    assert answer["clip"]["decoded_frames"] == 300


async def test_vault_adds_its_difficulty(app: App) -> None:
    answer = (await app.score(clip_bytes(frames=100), action="vault", difficulty="5.8")).json()
    assert answer["action"] == "vault"
    assert len(answer["fragments"]) == 6
    assert answer["execution"] == pytest.approx(answer["score"] - 5.8)
    assert answer["warnings"] == ["score_above_range"]  # its network was made for dives


async def test_pictures_of_the_fragments_on_request(app: App) -> None:
    content = clip_bytes(frames=100)
    answer = (await app.score(content, include="frames")).json()
    pictures = [fragment["jpeg"] for fragment in answer["fragments"]]
    assert [picture is None for picture in pictures] == [False] * 7 + [True] * 2
    with av.open(io.BytesIO(base64.b64decode(pictures[2])), "r") as file:
        [frame] = file.decode(video=0)
    spec = app.service.choose("diving", None).spec
    seen = load_clip(content, spec)[40]
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - seen).mean() < 6
    assert "jpeg" not in (await app.score(content)).json()["fragments"][0]


@pytest.mark.parametrize(
    ("fields", "status", "kind", "names"),
    [
        ({"difficulty": "-1"}, 422, "invalid-parameter", "difficulty"),
        ({"difficulty": "1_0"}, 422, "invalid-parameter", "difficulty"),
        ({"start_s": "0_1"}, 422, "invalid-parameter", "start_s"),
        ({"end_s": "infinity"}, 422, "invalid-parameter", "end_s"),
        ({"dificulty": "3.0"}, 422, "invalid-parameter", "dificulty"),
        ({"include": "weights"}, 422, "invalid-parameter", "include"),
        ({"action": "../../etc/passwd"}, 422, "invalid-parameter", "action"),
        ({"action": "skiing"}, 404, "unknown-checkpoint", ""),
        ({"checkpoint": "diving@99"}, 404, "unknown-checkpoint", ""),
        ({"checkpoint": "vault@1", "action": "diving"}, 422, "invalid-parameter", ""),
        ({"start_s": "-1"}, 422, "invalid-parameter", "start_s"),
        ({"start_s": "3", "end_s": "2"}, 422, "invalid-trim", "start_s"),
        ({"start_s": "60"}, 422, "invalid-trim", ""),
    ],
)
async def test_bad_parameters(
    app: App, fields: dict[str, str], status: int, kind: str, names: str
) -> None:
    response = await app.score(clip_bytes(), **fields)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"/problems/{kind}"
    assert problem["status"] == status
    assert names in problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"json": {"clip": "x"}}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400),
        ({"files": [("clip", b"1")], "data": {f"f{i}": "1" for i in range(40)}}, 400),
        ({"files": [("clip", b"1")], "data": {"action": "x" * 10_000}}, 400),
        ({"files": [("clip", b"")]}, 400),
    ],
    ids=["json", "no-boundary", "no-part", "fields", "long", "empty"],
)
async def test_malformed_uploads(app: App, request_: dict[str, Any], status: int) -> None:
    response = await app.client.post("/score", **request_)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_other_errors_are_problems_too(app: App) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/score", 405),
        ("GET", "/checkpoints/nothing", 404),
        ("GET", "/checkpoints/no%20name", 422),
    ):
        response = await app.client.request(method, path)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


async def test_checkpoints(app: App, store: Store) -> None:
    listed = (await app.client.get("/checkpoints")).json()
    assert listed["default"] == "diving"
    assert [c["name"] for c in listed["checkpoints"]] == ["diving", "vault"]
    assert all(c["current"] and c["trained_on"] == "simulated" for c in listed["checkpoints"])
    for reference in ("vault", "vault@1"):
        card = (await app.client.get(f"/checkpoints/{reference}")).json()
        assert card["sha256"] == store.load("vault").sha256
        assert card["difficulty_rule"] == "add"
        assert card["spec"]["fragments"] == 6
        assert card["golden_error"] <= 0.25
        assert "clips" not in card  # hashes by the thousand


async def test_requests_that_wait_are_scored_together_with_the_same_result(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time for which the engine is held counts as that of its first batch.
    monkeypatch.setattr("service.scoring.batcher.BATCH_S", 600.0)
    alone = (await app.score(clip_bytes(seed=0))).json()["score"]
    before = await metric(app, "score_batches_total")
    with held():
        tasks = [asyncio.create_task(app.score(clip_bytes(seed=i % 2))) for i in range(8)]
        async with asyncio.timeout(20):
            while await waiting(app) < 8:
                await asyncio.sleep(0.01)
    answers = [(await task).json() for task in tasks]
    assert await metric(app, "score_batches_total") - before <= 4  # and not 8
    for i, answer in enumerate(answers):
        if i % 2 == 0:
            assert answer["score"] == pytest.approx(alone, abs=1e-3)
    assert len({answer["request_id"] for answer in answers}) == 8


async def test_a_full_queue_is_429_and_frees_itself(store: Store) -> None:
    async with running_app(store, queue_fragments=18, client_share=1, checkpoints="diving") as app:
        with held():
            tasks = [asyncio.create_task(app.score(clip_bytes())) for _ in range(2)]
            await until(app, "score_queue_clips", 2)
            refused = await app.score(clip_bytes())
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert refused.json()["retry_after_s"] == int(refused.headers["retry-after"])
        assert [(await task).status_code for task in tasks] == [200, 200]
        assert (await app.score(clip_bytes())).status_code == 200
        assert await metric(app, "score_queue_fragments") == 0


async def test_a_passed_deadline_is_504_and_leaves_nothing_behind(store: Store) -> None:
    async with running_app(store, deadline_s=3.0, checkpoints="diving") as app:
        with held():
            assert (await app.score(clip_bytes())).status_code == 504
            assert await metric(app, "score_queue_fragments") == 0
        assert (await app.score(clip_bytes())).status_code == 200


async def test_a_client_that_leaves_is_dropped(store: Store) -> None:
    async with running_app(store, checkpoints="diving") as app:
        scored = await metric(app, "score_fragments_total")
        with held():
            busy = asyncio.create_task(app.score(clip_bytes()))
            while not await waiting(app):
                await asyncio.sleep(0.01)
            body, sent = asyncio.Event(), []
            request = httpx.Request("POST", "http://x/score", files={"clip": clip_bytes()})

            async def receive() -> dict[str, Any]:
                if not body.is_set():
                    body.set()
                    return {"type": "http.request", "body": request.read()}
                while await waiting(app) < 2:  # until it is decoded
                    await asyncio.sleep(0.01)
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/score",
                "query_string": b"",
                "headers": [(k.lower(), v) for k, v in request.headers.raw],
            }
            await app.app(scope, receive, send)
            assert await metric(app, "score_queue_clips") == 1  # the busy one
        assert (await busy).status_code == 200
        assert await metric(app, "score_dropped_total", stage="queue") == 1
        assert await metric(app, "score_requests_total", outcome="cancelled") == 1
        assert (await app.score(clip_bytes())).status_code == 200
        assert await metric(app, "score_fragments_total") - scored == 2 * 9


async def test_an_engine_error_is_a_500_that_reveals_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(store, checkpoints="diving") as app:

        def fail(self: Scorer, clips: Any) -> Any:
            raise EngineError("secret")

        with monkeypatch.context() as patch:
            patch.setattr(Scorer, "score", fail)
            response = await app.score(clip_bytes())
        assert response.status_code == 500
        assert "secret" not in response.text
        assert (await app.score(clip_bytes())).status_code == 200


async def test_a_dead_inference_thread_fails_liveness_and_asks_for_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    report = partial(failures.append, "failed")
    async with running_app(store, checkpoints="diving", on_failure=report) as app:

        def die(self: Scorer, clips: Any) -> Any:
            raise SystemExit

        monkeypatch.setattr(Scorer, "score", die)
        assert (await app.score(clip_bytes())).status_code == 503
        assert (await app.client.get("/livez")).status_code == 503
        assert (await app.client.get("/readyz")).status_code == 503
        assert (await app.score(clip_bytes())).status_code == 503
        assert failures == ["failed"]


async def test_not_ready_until_the_golden_clip_is_scored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    original = Scorer.check_golden

    def slow(self: Scorer) -> float:
        release.wait(20)
        return original(self)

    monkeypatch.setattr(Scorer, "check_golden", slow)
    async with running_app(store, ready=False, checkpoints="diving") as app:
        assert (await app.client.get("/livez")).status_code == 200
        not_ready = await app.client.get("/readyz")
        assert not_ready.status_code == 503
        assert not_ready.json()["type"] == "/problems/not-ready"
        assert (await app.score(clip_bytes())).status_code == 503
        release.set()
        async with asyncio.timeout(20):
            while (await app.client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.02)


async def test_a_wrong_golden_score_is_a_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: Scorer) -> float:
        raise EngineError("off by 3 points")

    monkeypatch.setattr(Scorer, "check_golden", wrong)
    async with running_app(store, ready=False, checkpoints="diving") as app, asyncio.timeout(20):
        while app.service.phase is not Phase.FAILED:
            await asyncio.sleep(0.02)
        assert (await app.client.get("/readyz")).status_code == 503
        assert (await app.client.get("/livez")).status_code == 503


async def test_a_service_that_cannot_load_waits_for_no_decoder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: CheckpointLoader, wanted: Any) -> Any:
        raise EngineError("broken")

    monkeypatch.setattr(CheckpointLoader, "load", fail)
    before = asyncio.all_tasks()
    async with running_app(store, ready=False, checkpoints="diving") as app, asyncio.timeout(20):
        while app.service.phase is not Phase.FAILED:
            await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_draining_refuses_new_work(store: Store) -> None:
    async with running_app(store, checkpoints="diving") as app:
        with held():
            running = asyncio.create_task(app.score(clip_bytes()))
            await until(app, "score_queue_clips", 1)
            app.service.drain()
            assert (await app.client.get("/readyz")).json()["type"] == "/problems/draining"
            assert (await app.client.get("/livez")).status_code == 200
            assert (await app.score(clip_bytes())).status_code == 503
        assert (await running).status_code == 200


async def test_metrics_have_the_names_that_dashboards_use(app: App) -> None:
    await app.score(clip_bytes())
    response = await app.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    for name in (
        'score_requests_total{outcome="ok"}',
        "score_request_seconds_bucket",
        'score_stage_seconds_bucket{le="0.005",stage="decode"}',
        "score_queue_fragments",
        "score_inflight_requests",
        "score_inflight_bytes",
        "score_batch_fragments_bucket",
        "score_batches_total",
        "score_fragments_total",
        "score_decode_failures_total",
        "score_rejected_total",
        "score_oom_splits_total",
        "score_output_bucket",
        "score_familiarity",
        "score_dropped_total",
        "score_cache_lookups_total",
        "score_cache_bytes",
        "score_reloads_total",
        'score_stage_seconds_count{stage="post"}',
        'score_model_info{engine="torch",name="diving"',
        "score_ready 1.0",
        "score_build_info",
        "process_resident_memory_bytes",
    ):
        assert name in response.text


async def test_timings_are_in_the_answer_and_in_the_header(app: App) -> None:
    response = await app.score(clip_bytes())
    timings = response.json()["timings_ms"]
    assert set(timings) == {"decode", "queue", "inference", "total"}
    assert all(value >= 0 for value in timings.values())
    assert timings["decode"] + timings["queue"] + timings["inference"] <= timings["total"] + 1
    assert response.headers["server-timing"].startswith("decode;dur=")
