"""The page while it begins: what is asked for before it knows what there is to choose from."""

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser.conftest import Visit, sent
from tests.servers import LiveServer


@pytest.mark.parametrize(("which", "action"), [("dive", "diving"), ("vault", "vault")])
def test_a_demonstration_before_the_actions_are_known_waits_for_them(
    browser: BrowserContext, server: LiveServer, which: str, action: str
) -> None:
    """It is not lost, nor scored as another action."""
    visit, late = Visit(browser.new_page(), server), list[Route]()
    page = visit.page
    page.route("**/checkpoints", lambda route: late.append(route))
    page.goto(server.url)
    with page.expect_response(f"**/demo/{which}.mp4"):
        page.click(f"[data-demo={which}]")
    page.wait_for_timeout(500)
    assert not page.evaluate("window.sent")
    for each in late:
        each.continue_()
    expect(page.locator(".about-score")).to_be_visible()
    assert [form["action"] for form in sent(page)] == [action]
    assert not visit.complaints
    page.close()


def test_a_page_whose_start_failed_tries_again(browser: BrowserContext, server: LiveServer) -> None:
    page = browser.new_page()
    page.route("**/checkpoints", lambda route: route.abort(), times=1)
    page.goto(server.url)
    expect(page.get_by_role("alert")).to_be_visible()
    page.click("[data-demo=vault]")
    expect(page.locator(".about-score")).to_be_visible()
    page.close()
