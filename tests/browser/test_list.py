"""Many clips of one evening: scored one after another, sorted, saved, two of them compared."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.http.page import WEB
from tests.browser.conftest import Visit, sent, violations
from tests.clips import clip_of, moving_square
from tests.servers import LiveServer

NAMES = ["b2.mp4", "=a10.mp4", "c.mp4", "d, not a video.mp4"]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("evening")
    dive = (WEB / "demo" / "dive.mp4").read_bytes()
    contents = [
        dive,
        clip_of(moving_square(151, 48, 64)),
        clip_of(moving_square(120, 48, 64)),
        b"x",
    ]
    for name, content in zip(NAMES, contents, strict=True):
        (folder / name).write_bytes(content)
    return [folder / name for name in NAMES]


@pytest.fixture(scope="module")
def scored_evening(
    browser: BrowserContext, server: LiveServer, evening: list[Path]
) -> Iterator[Visit]:
    visit = Visit(browser.new_page(), server)
    page = visit.open()
    page.set_input_files("#clip", evening)
    expect(page.locator("#chosen")).to_have_text("4 videos")
    for name in ("#difficulty", "#marks", "#dive"):
        assert not page.is_visible(name)  # of one clip alone
    page.fill("#entry-0", "3,7")
    page.click("#score")
    expect(page.locator("#step")).to_have_text("3 clips are scored.", timeout=60_000)
    yield visit
    page.close()


def rows(page: Page) -> list[list[str]]:
    found: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('.list tbody tr')].map((row) =>"
        " [...row.cells].map((cell) => cell.innerText.trim()))"
    )
    return found


def answer_of(visit: Visit, clip: Path, **fields: str) -> dict[str, Any]:
    answer: dict[str, Any] = visit.server.score(clip.read_bytes(), action="diving", **fields).json()
    return answer


def test_every_clip_has_its_own_answer(scored_evening: Visit, evening: list[Path]) -> None:
    page = scored_evening.page
    found = {row[1]: row for row in rows(page)}
    assert list(found) == NAMES
    for clip, fields in zip(evening[:3], ({"difficulty": "3.7"}, {}, {}), strict=True):
        answer = answer_of(scored_evening, clip, **fields)
        interval = answer["interval"]
        row = found[clip.name]
        assert row[2] == (
            f"about {answer['score']:.0f} ({interval['low']:.0f}–{interval['high']:.0f})"
        )
        assert bool(re.match(r"\d\.\d \(", row[3])) == bool(fields)
        assert row[4] == ("needs review" if answer["needs_review"] else "scored")
    assert "This is not a video" in found[NAMES[3]][4]
    assert violations(page) == []


def test_it_is_sorted_by_a_heading(scored_evening: Visit) -> None:
    page = scored_evening.page

    def names() -> list[str]:
        return [row[1] for row in rows(page)]

    page.click("#sort-score")
    scores = [int(found[1]) for row in rows(page) if (found := re.match(r"about (\d+)", row[2]))]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert names()[-1] == NAMES[3]
    page.click("#sort-clip")
    assert names() == ["=a10.mp4", "b2.mp4", "c.mp4", "d, not a video.mp4"]
    page.click("#sort-clip")
    assert names()[0] == "d, not a video.mp4"
    heading = page.locator("th:has(#sort-clip)")
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#sort-clip")).to_be_focused()  # although the table was drawn anew


@pytest.mark.parametrize(("language", "separator", "point"), [("en", ",", "."), ("de", ";", ",")])
def test_it_is_saved_for_spreadsheets(
    scored_evening: Visit, evening: list[Path], language: str, separator: str, point: str
) -> None:
    page = scored_evening.page
    page.select_option("#language", language)
    with page.expect_download() as download:
        page.click("#csv")
    text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    page.select_option("#language", "en")
    table = list(csv.reader(io.StringIO(text), delimiter=separator))
    assert len({len(row) for row in table}) == 1
    by_name = {row[0]: row for row in table[1:]}
    assert by_name.keys() == {"b2.mp4", "'=a10.mp4", "c.mp4", "d, not a video.mp4"}  # no formula
    answer = answer_of(scored_evening, evening[0], difficulty="3.7")
    expected = [answer["score"], answer["interval"]["low"], answer["interval"]["high"], 3.7]
    assert by_name["b2.mp4"][2:6] == [f"{value:.2f}".replace(".", point) for value in expected]
    assert by_name["b2.mp4"][12] == answer["clip"]["sha256"]
    assert by_name["d, not a video.mp4"][13]


def test_one_is_shown_and_two_are_compared(scored_evening: Visit, evening: list[Path]) -> None:
    page = scored_evening.page
    page.click("#show-0")
    expect(page.locator(".provenance")).to_be_visible()
    assert page.locator(".list").count() == 1
    page.check("#pick-0")
    assert page.is_disabled("#compare-two")
    page.check("#pick-1")
    assert page.is_disabled("#pick-2")
    page.click("#compare-two")
    verdict = page.locator(".compare .verdict")
    expect(verdict).to_contain_text("judges would put them in this order", timeout=60_000)
    answers = [answer_of(scored_evening, evening[0], difficulty="3.7")]
    answers.append(answer_of(scored_evening, evening[1]))
    first, second = sorted((0, 1), key=lambda i: -answers[i]["score"])
    difference = answers[first]["score"] - answers[second]["score"]
    expect(verdict).to_contain_text(
        f"{NAMES[first]} is ahead of {NAMES[second]} by {difference:.1f} points."
    )
    assert page.locator(".compare video").count() == 2
    page.select_option("#language", "de")
    expect(verdict).to_contain_text(f"{NAMES[first]} liegt")
    assert page.inner_text("#compare-title") == "Zwei Videos nebeneinander"
    assert page.inner_text(".compare .about-score >> nth=0").startswith("etwa ")
    assert page.locator(".compare .about-score").count() == 2
    page.select_option("#language", "en")
    expect(verdict).to_contain_text("judges would put them in this order")
    page.wait_for_timeout(300)
    assert sum(url.endswith("/rank") for url in scored_evening.requests) == 1
    page.click("#play-both")
    page.wait_for_timeout(400)
    times = page.evaluate(
        "[...document.querySelectorAll('.compare video')].map(v => v.currentTime)"
    )
    assert all(time > 0 for time in times)
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})


def test_another_entry_of_one_clip_scores_that_clip_again(scored_evening: Visit) -> None:
    page = scored_evening.page
    page.fill("#entry-1", "107b 3")
    assert page.locator("#show-1").count() == 0
    assert page.locator("#show-0").count() == 1
    assert page.locator(".compare").count() == 0
    page.click("#score")
    expect(page.locator("#show-1")).to_be_visible(timeout=60_000)
    expect(page.locator("#step")).to_have_text("3 clips are scored.", timeout=60_000)
    again = sent(page)[-2:]  # this clip, and the one that has no answer yet
    assert (again[0]["dive"], again[0]["height"]) == ("107B", "3")
    assert again[1].keys().isdisjoint({"dive", "difficulty"})
    page.select_option("#action", "vault")
    assert page.locator(".list .link").count() == 0  # all wait again
    assert page.inner_text("#step") == "The entries have changed: score again."


def test_a_list_is_cancelled_and_goes_on(visit: Visit, evening: list[Path]) -> None:
    page = visit.open()
    page.set_input_files("#clip", evening[:3])
    page.click("#score")
    expect(page.locator("#show-0")).to_be_visible(timeout=60_000)
    page.click("#cancel")
    states = [row[4] for row in rows(page)]
    assert states[0] in ("scored", "needs review")
    assert set(states[1:]) <= {"waits", "scored", "needs review"}
    page.click("#score")
    expect(page.locator("#step")).to_have_text("3 clips are scored.", timeout=60_000)
    assert len(sent(page)) <= 4  # the first one was not sent again


def test_a_list_has_an_end(visit: Visit, evening: list[Path]) -> None:
    page = visit.open()
    page.evaluate("""() => {
        const data = new DataTransfer();
        for (let i = 0; i < 101; i += 1) data.items.add(new File(["x"], `${i}.mp4`));
        const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
        document.getElementById("drop").dispatchEvent(event);
    }""")
    assert page.inner_text("#problem") == "101 videos; a list has 100 at most."
    assert page.locator(".list").count() == 0
