"""Who may keep, read, judge and remove clips."""

from pathlib import Path
from typing import Any

import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import App, running_app
from tests.service.scoring.kept import CLIP, SHA256, answer_of, judged, names

pytestmark = pytest.mark.anyio


async def test_without_an_archive_nothing_is_kept(store: Store) -> None:
    async with running_app(store) as app:
        [wrong] = answer_of(await app.score(CLIP, keep="true"), 422)["errors"]
        assert wrong["name"] == "keep"
        assert "SCORING_ARCHIVE" in wrong["reason"]
        assert answer_of(await app.score(CLIP, keep="false"))["kept"] is False
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is False
        for method, path in (("GET", "/clips"), ("DELETE", f"/clips/{SHA256}")):
            problem = answer_of(await app.client.request(method, path), 404)
            assert problem["type"] == "/problems/unknown-clip"
        assert answer_of(await judged(app, score="70"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/clips/..",
        "/clips/%2e%2e",
        "/clips/..%2f..%2fetc",
        "/clips/.lock",
        f"/clips/{SHA256}%2f..",
        f"/clips/{SHA256[:-1]}",
        f"/clips/{SHA256}a",
        f"/clips/{SHA256[:-1]}g",
        f"/clips/{SHA256}%0a",
    ],
)
async def test_a_hash_is_64_digits_and_nothing_else(app: App, archive: Path, path: str) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    for request in (
        app.client.delete(path),
        app.client.post(f"{path}/judged", data={"score": "70"}),
    ):
        assert (await request).status_code in (404, 405, 422)
    assert names(archive.parent) == ["archive"]
    assert names(archive / SHA256) == ["answer.json", "clip.mp4"]


async def test_the_calls_need_a_key_like_others(store: Store, tmp_path: Path) -> None:
    async with running_app(store, archive=tmp_path / "archive", api_keys="one,two") as app:
        one, two = ({"authorization": f"Bearer {key}"} for key in ("one", "two"))
        for method, path in (
            ("GET", "/clips"), ("DELETE", f"/clips/{SHA256}"), ("POST", f"/clips/{SHA256}/judged"),
        ):  # fmt: skip
            assert answer_of(await app.client.request(method, path), 401)
        sent = {"files": {"clip": CLIP}, "data": {"keep": "true"}}
        answer_of(await app.client.post("/score", headers=one, **sent))  # type: ignore[arg-type]
        assert answer_of(await app.client.get("/clips", headers=two))["total"] == 1
        assert answer_of(await app.client.delete(f"/clips/{SHA256}", headers=two))


async def test_the_calls_need_a_key_where_anybody_may_ask(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_app(store, archive=tmp_path / "archive", allow_anonymous=True) as app:
        assert "no clip is kept" in caplog.text
        for method, path in (
            ("GET", "/clips"), ("GET", "/clips/"), ("DELETE", f"/clips/{SHA256}"),
            ("POST", f"/clips/{SHA256}/judged"), ("POST", f"/clips/{SHA256}/anything"),
        ):  # fmt: skip
            response = await app.client.request(method, path)
            assert answer_of(response, 401)["type"] == "/problems/unauthorised"
        assert answer_of(await app.score(CLIP, keep="true"), 401)
        assert answer_of(await app.score(CLIP))["kept"] is False
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is False
        document = answer_of(await app.client.get("/openapi.json"))["paths"]
        assert document["/clips"]["get"]["security"]
        assert "security" not in document["/score"]["post"]
        assert names(tmp_path / "archive") == []
    settings: dict[str, Any] = {"allow_anonymous": True, "api_keys": "one"}
    async with running_app(store, archive=tmp_path / "archive", **settings) as app:
        app.client.headers["authorization"] = "Bearer one"
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is True


async def test_no_web_site_keeps_judges_or_removes_a_clip(app: App, archive: Path) -> None:
    """A browser sends a form to any address, and a page of another origin can make it do so."""
    answer_of(await app.score(CLIP, keep="true"))
    app.client.headers["sec-fetch-site"] = "cross-site"
    try:
        for response in (
            await app.score(clip_bytes(frames=101), keep="true"),
            await judged(app, score="70"),
            await app.client.delete(f"/clips/{SHA256}"),
        ):
            assert answer_of(response, 403)["type"] == "/problems/foreign-origin"
    finally:
        del app.client.headers["sec-fetch-site"]
    assert names(archive) == [".lock", SHA256]
    assert names(archive / SHA256) == ["answer.json", "clip.mp4"]


async def test_the_rank_of_clips_keeps_none(app: App, archive: Path) -> None:
    files = [("clips", CLIP), ("clips", clip_bytes(frames=60))]
    response = await app.client.post("/rank", files=files, data={"keep": "true"})
    [wrong] = answer_of(response, 422)["errors"]
    assert wrong["name"] == "keep"
    assert names(archive) == []
