"""
The README's pictures of the page: `make pictures` draws them anew, from simulated clips.

The rule: no footage of anyone is in them.
"""

import io
import shutil
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from model_store.store import Store
from service.http.page import WEB
from tests.browser.conftest import FLAGS
from tests.clips import write_clip
from tests.servers import live_server
from training.simulator.dataset import write_dataset

NAMES = ("Anna", "Berta", "Clara", "Dora")
DOCS = Path(__file__).parents[2] / "docs"
DIVE = WEB / "demo" / "dive.mp4"
STANDING_S, AFTER_S = 5, 3  # of a recording that nobody has cut


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        uncut = Path(folder) / "uncut.mp4"
        _write_uncut(uncut)
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with live_server(Store().root, Path(folder)) as server:
            _answer(_open(browser, server.url, width=1280, height=860))
            _phone(_open(browser, server.url, width=390, height=844, language="de"), uncut)
            _evening(_open(browser, server.url, width=1280, height=1240), Path(folder))
        browser.close()


def _open(browser: Browser, url: str, *, width: int, height: int, language: str = "en") -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        color_scheme="dark" if language == "de" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("option[value=diving]", state="attached")
    return page


def _answer(page: Page) -> None:
    page.click("[data-demo=dive]")
    page.wait_for_selector(".about-score")
    page.locator(".fragment").nth(4).click()
    page.wait_for_timeout(1500)
    _save(page, "page.webp")


def _phone(page: Page, clip: Path) -> None:
    page.set_input_files("#clip", clip)
    page.wait_for_selector(".handle.start")
    page.focus(".handle.end")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(1500)
    _save(page, "page-phone.webp")


def _evening(page: Page, folder: Path) -> None:
    write_dataset("diving", 4, 7200, folder / "dives", test_share=0.0)
    dives = sorted((folder / "dives" / "clips").glob("*.mp4"))
    clips = [dive.rename(folder / f"{name}.mp4") for dive, name in zip(dives, NAMES, strict=True)]
    page.set_input_files("#clip", clips)
    for row, difficulty in enumerate(("3.2", "3.4", "2.8", "3.6")):
        page.fill(f"#entry-{row}", difficulty)
    page.click("#score")
    page.wait_for_selector("text=4 clips are scored.")
    page.click("#sort-score")
    for box in page.locator(".list tbody input[type=checkbox]").all()[:2]:
        box.check()
    page.click("#compare-two")
    page.wait_for_selector("text=such pairs judges")
    page.click("#play-both")
    page.wait_for_timeout(2500)
    _save(page, "page-list.webp")


def _write_uncut(path: Path) -> None:
    """The simulated dive with time before and after it."""
    with av.open(str(DIVE)) as clip:
        frames = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in clip.decode(video=0)
        ]
    write_clip(path, [frames[0]] * (30 * STANDING_S) + frames + [frames[-1]] * (30 * AFTER_S))


def _save(page: Page, name: str) -> None:
    page.evaluate("document.activeElement.blur()")
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(300)
    Image.open(io.BytesIO(page.screenshot())).save(DOCS / name, quality=82, method=6)


if __name__ == "__main__":
    main()
