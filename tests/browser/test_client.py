"""`client.js` on a page of another origin, and the page below a prefix, in Chromium."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Visit
from tests.browser.elsewhere import Elsewhere
from tests.clips import clip_bytes
from tests.servers import LiveServer, children_of, serving, until


@pytest.fixture
def page(browser: BrowserContext, elsewhere: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(elsewhere)
    yield page
    page.close()


def run(page: Page, script: str, url: str) -> Any:
    return page.evaluate(
        f"""async (url) => {{
            const {{ ScoringClient, Problem }} = await import("/client.js");
            const client = new ScoringClient(url, {{ key: "a-key" }});
            const clip = await (await fetch("/dive.mp4")).blob();
            {script}
        }}""",
        url,
    )


def test_from_another_origin_it_does_all_that_python_does(page: Page, guarded: LiveServer) -> None:
    answer = run(
        page,
        """
        const events = [];
        const { score, scored_by } = await client.score(
            clip, { action: "diving" }, { onEvent: (name) => events.push(name) });
        const panel = await client.panel({ marks: [8, 8, 8, 8, 8], difficulty: 3 });
        const { default: chosen } = await client.checkpoints();
        const { version } = await client.checkpoint("vault@1");
        const { status } = await client.ready();
        return [Number.isFinite(score), scored_by, [...new Set(events)], panel.total, chosen,
                version, status];
        """,
        guarded.url + "/",
    )
    events = ["queued", "decoding", "scoring"]
    assert answer == [True, "video", events, 72, "diving", 1, "ready"]


def test_a_whole_meet_is_judged(page: Page, guarded: LiveServer) -> None:
    totals, judges, vault, wrong = run(
        page,
        """
        const { dives, judges } = await client.panelMeet([
            { diver: "Anna", dive: "107B", height: 3, marks: [8.5, 8, 8] },
            { diver: "Ben", difficulty: 2.4, marks: [6, null, 6.5] },
        ]);
        const vault = await client.panelMeet(
            [{ difficulty: 5.8, marks: [9, 9.1, 9.2, 9.1], deductions: 0.1 }], { action: "vault" });
        const wrong = await client.panelMeet([{ difficulty: 3, marks: [8, 8, 88] }]).catch(
            (error) => [error.type, error.errors.map(({ name }) => name)]);
        return [dives.map(({ total }) => total), judges.length, vault.dives[0].total, wrong];
        """,
        guarded.url,
    )
    assert totals == [75.95, 45.0]  # 24.5 × 3.1; 1.5 × 12.5 × 2.4
    assert judges == 3
    assert vault == 14.8  # 9.1 + 5.8 − 0.1
    assert wrong[0] == "/problems/invalid-parameter"
    assert len(wrong[1]) == 1


def test_a_kept_clip_is_judged_and_forgotten(page: Page, guarded: LiveServer) -> None:
    found = run(
        page,
        """
        const names = async () => (await client.clips()).clips.map((each) => each.sha256);
        const { kept, clip: { sha256 } } = await client.score(clip, { keep: true });
        const there = (await names()).includes(sha256);
        await client.judged(sha256, { score: 71.5, group: "7" });
        const [{ judged }] = (await client.clips()).clips.filter((e) => e.sha256 === sha256);
        await client.forget(sha256);
        const gone = !(await names()).includes(sha256);
        const again = await client.forget(sha256).catch((error) => error.type);
        return [kept, there, judged, gone, again];
        """,
        guarded.url,
    )
    kept, there, judged, gone, again = found
    assert kept
    assert there
    assert judged["score"] == 71.5
    assert gone
    assert again == "/problems/unknown-clip"


def test_clips_are_ranked(page: Page, guarded: LiveServer) -> None:
    order, scored_by = run(
        page,
        """
        const { order, clips } = await client.rank(
            [clip, clip], { action: "diving", difficulty: [3.2, null] });
        return [order, clips.map((each) => each.scored_by)];
        """,
        guarded.url,
    )
    assert sorted(order) == [0, 1]
    assert scored_by == ["video", "video"]


def test_errors_are_read_with_their_type(page: Page, guarded: LiveServer) -> None:
    """401, 413, 415 and 422 carry what a browser needs to let the page read them."""
    found = run(
        page,
        """
        const problem = (call) => call.then(() => null, (error) => [error.type, error.status]);
        const stranger = new ScoringClient(url);
        return [
            await problem(stranger.score(clip)),
            await problem(client.score(new Blob(["no video"]))),
            await problem(client.score(clip, { dificulty: 3 })),
            await problem(client.panel({ marks: Array(40000).fill(8), difficulty: 3 })),
            await problem(client.checkpoint("rowing")),
        ];
        """,
        guarded.url,
    )
    assert found == [
        ["/problems/unauthorised", 401],
        ["/problems/not-a-video", 415],
        ["/problems/invalid-parameter", 422],
        ["/problems/body-too-large", 413],
        ["/problems/unknown-checkpoint", 404],
    ]


def test_a_full_queue_is_waited_for_as_often_as_it_is_told(page: Page, guarded: LiveServer) -> None:
    """Room for two clips, and two whose decoders stand still."""
    script = """
        const waits = [], hasty = new ScoringClient(url, { key: "a-key", retries: 1 });
        const found = await hasty.score(clip, {}, { onWait: (s) => waits.push(s) }).then(
            () => null, (error) => [error.type, error.status]);
        return [found, waits.length === 1 && waits[0] >= 1];
    """
    run(page, "await client.score(clip);", guarded.url)  # so that it is known how long one takes
    url, key = f"{guarded.url}/score", {"authorization": "Bearer a-key"}
    decoders = children_of(guarded.process.pid)
    with ThreadPoolExecutor(2) as pool:
        for decoder in decoders:
            os.kill(decoder, signal.SIGSTOP)
        try:
            clips = [{"clip": clip_bytes(seed=seed)} for seed in range(2)]
            waiting = [
                pool.submit(httpx.post, url, files=clip, headers=key, timeout=60) for clip in clips
            ]
            until(lambda: guarded.metric("score_queue_fragments") == 18)
            found = run(page, script, guarded.url)
        finally:
            for decoder in decoders:
                os.kill(decoder, signal.SIGCONT)
        assert [each.result().status_code for each in waiting] == [200, 200]
    assert found == [["/problems/queue-full", 429], True]


def test_it_comes_again_when_it_is_asked_to(page: Page, elsewhere: str) -> None:
    Elsewhere.busy = True
    answer = run(page, "return (await client.score(clip)).score;", f"{elsewhere}/scorer/")
    assert answer == 12.5
    Elsewhere.busy = True
    stopped = run(
        page,
        """
        const stop = new AbortController();
        const onWait = () => stop.abort();
        return client.score(clip, {}, { onWait, signal: stop.signal }).catch((error) => error.name);
        """,
        f"{elsewhere}/scorer",
    )
    assert stopped == "AbortError"


def test_where_the_origin_is_not_allowed_it_is_unreachable(page: Page, guarded: LiveServer) -> None:
    with serving(Elsewhere) as stranger:  # on another port, so of another origin
        page.goto(stranger)
        script = "return client.checkpoints().catch((error) => error.type);"
        assert run(page, script, guarded.url) == "about:unreachable"


def test_a_page_may_import_it_from_the_service(page: Page, guarded: LiveServer) -> None:
    default = page.evaluate(
        """async (url) => {
            const { ScoringClient } = await import(`${url}/web/client.js`);
            const client = new ScoringClient();
            return (await client.ready()).status;
        }""",
        guarded.url,
    )
    assert default == "ready"


@pytest.mark.parametrize("prefix_is_cut", [True, False])
def test_the_page_works_below_a_prefix(
    browser: BrowserContext, guarded: LiveServer, prefixed: LiveServer, prefix_is_cut: bool
) -> None:
    """A proxy that cuts the prefix off needs no setting."""
    server = guarded if prefix_is_cut else prefixed

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith("/scorer/"):
                self.send_error(404)
                return
            path = self.path.removeprefix("/scorer") if prefix_is_cut else self.path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {n: v for n, v in self.headers.items() if n.lower() != "connection"}
            headers["Authorization"] = "Bearer a-key"
            answer = httpx.request(
                self.command, server.url + path, content=body, headers=headers, timeout=60
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = forward

        def log_message(self, *_: object) -> None:
            pass

    with serving(Proxy) as url:
        visit = Visit(browser.new_page(), server)
        page = visit.page
        page.goto(f"{url}/scorer/")
        page.wait_for_selector("option", state="attached")
        page.click("[data-demo=dive]")
        expect(page.locator(".about-score")).to_be_visible()
        own = (f"{url}/scorer/", "blob:", "data:")
        assert all(each.startswith(own) for each in visit.requests)
        assert not visit.complaints
        page.close()
