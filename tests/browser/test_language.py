"""The page in its languages."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Visit, violations
from tests.servers import LiveServer


@pytest.fixture(scope="module")
def german(browser: BrowserContext, server: LiveServer) -> Iterator[Page]:
    visit = Visit(browser.new_page(), server)
    page = visit.page
    page.goto(f"{server.url}/?lang=de-AT")
    page.wait_for_selector("option[value=diving]", state="attached")
    assert visit.complaints == []
    yield page
    page.close()


def test_the_address_names_the_language(german: Page) -> None:
    assert german.evaluate("document.documentElement.lang") == "de"
    assert german.title() == german.inner_text("h1") == "Zweite Meinung"
    expect(german.locator("#about")).to_contain_text("Bewertet werden 5,0 s.")
    assert violations(german) == []


def test_an_answer_and_a_problem_change_with_the_language(german: Page) -> None:
    german.click("[data-demo=dive]")
    german.wait_for_selector(".about-score")
    assert re.fullmatch(r"etwa \d\d", german.inner_text(".about-score"))
    assert re.fullmatch(r"Note \d,\d je Kampfrichter \(\d,\d–\d,\d\)", german.inner_text(".mark"))
    assert "kein Video" in german.inner_text(".film")
    assert german.inner_text(".total") == "72,15"
    german.select_option("#language", "en")
    assert re.fullmatch(r"about \d\d", german.inner_text(".about-score"))
    assert german.inner_text(".total") == "72.15"
    assert german.url.endswith("?lang=en")
    german.fill("#difficulty", "3,75")
    german.click("#score")
    expect(german.locator("#problem")).to_contain_text("An entry cannot be used.")
    german.select_option("#language", "de")
    expect(german.locator("#problem")).to_contain_text("Eine Angabe ist nicht brauchbar.")
    german.reload()
    expect(german.locator("h1")).to_have_text("Zweite Meinung")
    kept = "[localStorage.length, sessionStorage.length, document.cookie]"
    assert german.evaluate(kept) == [0, 0, ""]


def test_nothing_overflows_on_a_phone(german: Page) -> None:
    german.click("[data-demo=vault]")
    german.wait_for_selector(".about-score")
    overflow = """(() => {
        const right = (element) => element.getBoundingClientRect().right;
        return [...document.querySelectorAll('.number strong')].map(
            (number) => right(number) - right(number.closest('.card')));
    })()"""
    for width in (1280, 1024, 768, 360):
        german.set_viewport_size({"width": width, "height": 740})
        assert german.evaluate("document.documentElement.scrollWidth") <= width
        assert max(german.evaluate(overflow)) < 0


@pytest.mark.parametrize(
    ("languages", "expected"), [(["fr", "de-CH"], "de"), (["ja", "en-US"], "en"), (["ja"], "en")]
)
def test_else_the_browser_chooses(visit: Visit, languages: list[str], expected: str) -> None:
    visit.page.add_init_script(
        f"Object.defineProperty(navigator, 'languages', {{get: () => {languages}}})"
    )
    visit.open()
    assert visit.page.evaluate("document.documentElement.lang") == expected
