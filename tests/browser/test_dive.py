"""A dive by its number and height; a clip that is kept, and what judges gave later."""

import json
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect

from service.http.page import WEB
from tests.browser.conftest import Visit, sent, violations
from tests.checkpoints import tiny_store
from tests.servers import live_server

DIVE = WEB / "demo" / "dive.mp4"
NAMED = {
    "number": "107B",
    "height_m": 3.0,
    "name": "forward 3½ somersaults, pike",
    "difficulty": 3.1,
}


def answering(visit: Visit, page: Page, **more: Any) -> None:
    """The service's own answer to the dive, with what the page is to show besides."""

    def answer(route: Route) -> None:
        fields = {"action": "diving", "include": "frames", "difficulty": "3.1"}
        body = visit.server.score(DIVE.read_bytes(), **fields).json() | more
        events = f"event: result\ndata: {json.dumps(body)}\n\n"
        route.fulfill(body=events, content_type="text/event-stream")

    page.route("**/score", answer, times=1)


def test_a_dive_number_and_a_height_take_the_place_of_the_difficulty(visit: Visit) -> None:
    page = visit.open()
    answering(visit, page, dive=NAMED)
    page.fill("#dive", "107B")
    page.select_option("#height", "3")
    visit.upload(DIVE)
    visit.wait_for_score()
    fields = sent(page)[-1]
    assert (fields["dive"], fields["height"]) == ("107B", "3")
    assert "difficulty" not in fields
    said = page.inner_text(".score")
    assert "107B from 3 m: forward 3½ somersaults, pike" in said
    assert page.inner_text(".score dl").split("\n")[:2] == ["Difficulty", "3.1"]
    page.select_option("#language", "de")
    assert "107B aus 3 m: vorwärts 3½ Salto, gehechtet" in page.inner_text(".score")
    page.select_option("#action", "vault")
    assert not page.is_visible("#dive")
    page.click("#score")
    visit.wait_for_score()
    assert sent(page)[-1].keys().isdisjoint({"dive", "height"})


def test_the_service_names_the_dive(visit: Visit) -> None:
    page = visit.open()
    page.fill("#dive", "107b")
    page.select_option("#height", "3")
    page.locator("#panel-fields summary").click()
    page.fill("#marks", "8,5 8 8 8,5 9 8 8")
    visit.upload(DIVE)
    visit.wait_for_score()
    said = page.inner_text(".score")
    assert "107B from 3 m: forward 3½ somersaults, pike" in said
    assert page.inner_text(".score dl").split("\n")[:2] == ["Difficulty", "3.1"]
    assert page.inner_text(".total") == "75.95"  # 8.5 + 8 + 8 = 24.5; × 3.1
    page.fill("#dive", "101E")
    page.click("#score")
    expect(page.locator("#dive")).to_be_focused()
    expect(page.locator("#problem")).to_contain_text("Dive number")


def test_without_an_archive_nothing_can_be_kept(visit: Visit) -> None:
    page = visit.open()
    expect(page.locator("#about")).to_contain_text("Olympic event")  # the last thing that it asks
    assert not page.is_visible("#keep")
    assert visit.complaints == []
    asked = [url for url in visit.requests if "/clips" in url]
    assert asked == []


def test_the_service_keeps_a_clip(browser: BrowserContext, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "store")
    folder = tmp_path / "archive"
    folder.mkdir()
    (tmp_path / "server").mkdir()
    settings: dict[str, Any] = {"archive": str(folder)}
    with live_server(store.root, tmp_path / "server", **settings) as server:
        visit = Visit(browser.new_page(), server)
        page = visit.open()
        page.check("#keep")
        page.fill("#difficulty", "3.1")
        visit.upload(DIVE)
        visit.wait_for_score()
        page.fill("#judged-marks", "8.5 8 8 8.5 9 8 8")
        page.click(".kept .primary")
        expect(page.locator(".kept [role=status]")).to_have_text("Saved.")
        listed = httpx.get(f"{server.url}/clips").json()["clips"]
        assert [clip["judged"]["score"] for clip in listed] == [75.95]
        page.get_by_role("button", name="Remove the clip from the archive").click()
        expect(page.locator(".kept")).to_have_text("The clip is no longer in the archive.")
        assert httpx.get(f"{server.url}/clips").json()["clips"] == []
        page.close()


def test_a_clip_is_kept_and_judged_later(visit: Visit) -> None:
    calls: list[tuple[str, str, Any]] = []

    def archive(route: Route) -> None:
        request = route.request
        calls.append((request.method, request.url, request.post_data_json))
        if request.method == "POST" and "x" in (request.post_data or ""):
            problem = {"type": "/problems/invalid-parameter", "title": "", "status": 422}
            route.fulfill(status=422, json=problem | {"detail": "marks: need numbers"})
        else:
            route.fulfill(json={"total": 0, "judged": 0, "clips": [], "damaged": []})

    def keeping(route: Route) -> None:
        route.fulfill(json=httpx.get(route.request.url).json() | {"keeps_clips": True})

    page = visit.page
    page.route("**/checkpoints", keeping)
    page.route("**/clips/**", archive)
    visit.open()
    expect(page.locator("#keep")).to_be_visible()
    page.check("#keep")
    answering(visit, page, kept=True)
    visit.upload(DIVE)
    visit.wait_for_score()
    assert sent(page)[-1]["keep"] == "true"
    assert violations(page) == []
    page.fill("#judged-marks", "8 x")
    page.click(".kept .primary")
    expect(page.locator(".kept [role=status]")).to_contain_text("An entry cannot be used.")
    page.fill("#judged-marks", "8.5 8 8 8.5 9 8 8")
    page.fill("#judged-difficulty", "3,1")
    page.click(".kept .primary")
    expect(page.locator(".kept [role=status]")).to_have_text("Saved.")
    method, url, fields = calls[-1]
    sha256 = page.evaluate("document.querySelector('.provenance').textContent").split("clip ")[1]
    assert (method, f"/clips/{sha256[:12]}" in url, url.endswith("/judged")) == ("POST", True, True)
    assert fields == {"marks": "8.5 8 8 8.5 9 8 8", "difficulty": "3.1"}
    page.get_by_role("button", name="Remove the clip from the archive").click()
    expect(page.locator(".kept")).to_have_text("The clip is no longer in the archive.")
    assert calls[-1][0] == "DELETE"


def test_what_can_be_claimed_of_parts_is_what_the_card_measured(visit: Visit) -> None:
    card = httpx.get(f"{visit.server.url}/checkpoints/diving").json()
    worth = {"take-off": (0.4, 0.1), "flight": (0.9, 0.5), "splash": (0.3, -0.2)}
    stages = {name: {"worth": each, "low": low, "high": 2.0} for name, (each, low) in worth.items()}
    card["metrics"]["cross_validation"]["stages"] = stages
    visit.page.route("**/checkpoints/diving", lambda route: route.fulfill(json=card))
    page = visit.open()
    visit.upload(DIVE)
    visit.wait_for_score()
    claimed = page.inner_text(".claim")
    assert claimed.startswith("Judges give no marks for parts")
    assert claimed.endswith("went with more from the judges: take-off, flight.")
    page.click("[data-demo=vault]")  # of simulated vaults what they cost is known
    page.get_by_role("heading", name="Score of this vault").wait_for()
    assert page.locator(".claim").count() == 0
