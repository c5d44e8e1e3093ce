"""Pages of other sites, against a service without keys on this machine."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext

from service.http.page import WEB
from tests.checkpoints import tiny_store
from tests.servers import live_server

POST_A_FORM = """async ([url, fields]) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("clip", await (await fetch("/dive.mp4")).blob(), "clip");
    await fetch(url, { method: "POST", mode: "no-cors", body: form });
}"""
SEND_A_FORM = """([url, fields]) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: url });
    for (const [name, value] of Object.entries(fields)) {
        form.append(Object.assign(document.createElement("input"), { name, value }));
    }
    document.body.append(form);
    form.submit();
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # the same site, and another one
def test_a_page_elsewhere_changes_nothing(
    browser: BrowserContext, elsewhere: str, tmp_path: Path, host: str
) -> None:
    store = tiny_store(tmp_path / "store")
    settings: dict[str, Any] = {"archive": tmp_path / "archive", "checkpoints": "diving"}
    (tmp_path / "server").mkdir()
    with live_server(store.root, tmp_path / "server", **settings) as server:
        dive = (WEB / "demo" / "dive.mp4").read_bytes()
        kept = server.score(dive, keep="true").json()
        path = f"/clips/{kept['clip']['sha256']}/judged"
        page = browser.new_page()
        page.goto(elsewhere.replace("127.0.0.1", host))
        with page.expect_response(f"{server.url}/score") as scored:
            page.evaluate(POST_A_FORM, [f"{server.url}/score", {"keep": "true"}])
        with page.expect_response(server.url + path) as judged:
            page.evaluate(SEND_A_FORM, [server.url + path, {"score": "99", "group": "x"}])
        assert (scored.value.status, judged.value.status) == (403, 403)
        [clip] = httpx.get(f"{server.url}/clips").json()["clips"]
        assert clip["judged"] is None
        page.close()
