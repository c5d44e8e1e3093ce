"""The page in the system's Chromium, in front of the service with the shipped checkpoints."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from model_store.store import Store
from tests.browser.elsewhere import Elsewhere
from tests.checkpoints import publish_tiny, tiny_store
from tests.servers import LiveServer, live_server, serving, wait_until_ready

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 60_000  # on a busy machine; a quick one needs a second
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        message = "Chromium is missing: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return str(found)


@pytest.fixture(scope="module")  # ends with the module: it keeps an event loop running
def playwright(chromium: str) -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    small: dict[str, Any] = {"batch_clips": 1, "decode_workers": 1}
    with live_server(Store().root, folder, ready=False, **small) as server:
        wait_until_ready(server, timeout_s=240)  # two checkpoints of full size
        yield server


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """With a profile of its own, the clipboard allowed."""
    context = playwright.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("profile"),
        executable_path=chromium,
        headless=True,
        args=FLAGS,
        viewport={"width": 1280, "height": 900},
        locale="en-GB",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


RECORDER = """(() => {
    const append = FormData.prototype.append;
    FormData.prototype.append = function (name, value, ...more) {
        if (name === "action") (window.sent ??= []).push({});
        window.sent.at(-1)[name] = value;
        append.call(this, name, value, ...more);
    };
})();"""


def sent(page: Page) -> list[dict[str, Any]]:
    """The fields of all forms that the page has sent."""
    forms: list[dict[str, Any]] = page.evaluate("window.sent")
    return forms


def violations(page: Page) -> list[str]:
    return [
        f"{found['id']}: {node['html']}"
        for found in Axe().run(page).response["violations"]
        for node in found["nodes"]
    ]


class Visit:
    """A page, and everything that it asked for or complained about."""

    def __init__(self, page: Page, server: LiveServer) -> None:
        self.page = page
        self.server = server
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.add_init_script(RECORDER)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self.listen)

    def listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self) -> Page:
        self.page.goto(self.server.url)
        self.page.wait_for_selector("option", state="attached")
        return self.page

    def upload(self, path: Path | str) -> None:
        self.page.set_input_files("#clip", path)
        self.page.click("#score")

    def wait_for_score(self) -> str:
        return self.page.inner_text(".about-score")


@pytest.fixture
def visit(browser: BrowserContext, server: LiveServer) -> Iterator[Visit]:
    page = browser.new_page()
    yield Visit(page, server)
    page.close()


@pytest.fixture(scope="module")
def scored(browser: BrowserContext, server: LiveServer) -> Iterator[Visit]:
    """The simulated dive, scored once for all tests that only look."""
    visit = Visit(browser.new_page(), server)
    visit.open().click("[data-demo=dive]")
    visit.wait_for_score()
    yield visit
    visit.page.close()


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[str]:
    """Another site, of an origin that `guarded` allows."""
    with serving(Elsewhere) as url:
        yield url


@pytest.fixture(scope="session")
def guarded(
    elsewhere: str, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A service that wants a key and lets pages of another origin in."""
    store = tiny_store(tmp_path_factory.mktemp("store"))
    settings: dict[str, Any] = {
        "allowed_origins": elsewhere,
        "api_keys": "a-key",
        "queue_fragments": 18,
        "client_share": 1,
        "archive": tmp_path_factory.mktemp("archive"),
    }
    with live_server(store.root, tmp_path_factory.mktemp("guarded"), **settings) as server:
        yield server


@pytest.fixture(scope="session")
def prefixed(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A service that is published below /scorer, with a checkpoint of two outputs."""
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "diving", target="both", calibrated=True)
    settings: dict[str, Any] = {"root_path": "/scorer", "decode_workers": 1}
    with live_server(store.root, tmp_path_factory.mktemp("prefixed"), **settings) as server:
        yield server
