"""Addresses and methods as clients and proxies send them, to a real server."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from model_store.store import Store
from service.app import create_app
from service.client import ScoringClient
from service.http.page import WEB
from service.settings import OWN_NAMES, Settings
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server, serving

DIVE = WEB / "demo/dive.mp4"

BIG = b"\0" * 200_000  # more than a call without a clip may bring


def ask(server: LiveServer, line: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """The status and all of the answer to a request whose first line is `line`."""
    sent = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"} | headers
    if body:
        sent["Content-Length"] = str(len(body))
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
    answer = server.raw(f"{line} HTTP/1.1\r\n{head}\r\n".encode() + body).decode()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ("POST /score/", 404, "did you mean /score?"),
        ("POST //score", 404, "did you mean /score?"),
        ("POST /v1/score", 404, "did you mean /score?"),
        ("POST /ranks", 404, "did you mean /rank?"),
        ("POST /somewhere/else", 404, '"detail": null'),
        ("PUT /score", 405, "allow: OPTIONS, POST"),
        ("GET /score", 405, "allow: OPTIONS, POST"),
        ("post /score", 405, "allow: OPTIONS, POST"),
        ("POST /", 405, "allow: GET, HEAD, OPTIONS"),
        ("POST /web/page.js", 405, "allow: GET, HEAD, OPTIONS"),
        ("DELETE /checkpoints/diving", 405, "allow: GET, HEAD, OPTIONS"),
        ("BREW /docs", 405, "allow: GET, HEAD, OPTIONS"),
        ("POST /livez", 405, "allow: GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_address_or_method_with_a_clip_says_so(
    local_server: LiveServer, line: str, status: int, text: str
) -> None:
    found, answer = ask(local_server, line, BIG, Content_Type="multipart/form-data; boundary=b")
    assert found == status
    assert text in answer.replace('":null', '": null')
    assert "application/problem+json" in answer


def test_a_body_that_is_too_large_still_is(local_server: LiveServer) -> None:
    assert ask(local_server, "POST /panel", BIG, Content_Type="application/json")[0] == 413


@pytest.mark.parametrize(
    "path", ["/checkpoints", "/livez", "/metrics", "/", "/docs", "/web/page.js"]
)
def test_head_is_get_without_its_body(local_server: LiveServer, path: str) -> None:
    get, head = (httpx.request(m, local_server.url + path, timeout=60) for m in ("GET", "HEAD"))
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    if path != "/metrics":
        assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_of_what_has_no_get_is_405(local_server: LiveServer) -> None:
    assert httpx.head(f"{local_server.url}/score").status_code == 405
    assert httpx.head(f"{local_server.url}/nothing").status_code == 404
    [line] = [line for line in local_server.log_lines() if line.get("method") == "HEAD"][-1:]
    assert line["status"] in (200, 404, 405)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/score", "OPTIONS, POST"),
        ("/checkpoints/diving", "GET, HEAD, OPTIONS"),
        ("/web/page.js", "GET, HEAD, OPTIONS"),
        ("/clips", "GET, HEAD, OPTIONS"),
        (f"/clips/{64 * 'a'}", "DELETE, OPTIONS"),
        ("*", "DELETE, GET, HEAD, OPTIONS, POST"),
    ],
)
def test_options_says_what_is_allowed(local_server: LiveServer, path: str, allowed: str) -> None:
    status, answer = ask(local_server, f"OPTIONS {path}")
    assert status == 204
    assert f"allow: {allowed}\r\n" in answer
    assert ask(local_server, "OPTIONS /nothing")[0] == 404


@pytest.mark.parametrize("host", ["http://127.0.0.1", "HTTP://scorer.example:8000", "https://x"])
def test_a_target_in_absolute_form_is_the_same(local_server: LiveServer, host: str) -> None:
    """As `curl -x` sends it."""
    assert ask(local_server, f"GET {host}/checkpoints")[0] == 200
    assert ask(local_server, f"GET {host}/checkpoints?a=b")[0] == 422
    assert ask(local_server, f"GET {host}")[0] == 200
    assert ask(local_server, f"POST {host}/score/", BIG)[0] == 404
    with httpx.Client(proxy=local_server.url, timeout=60) as client:
        answer = client.post("http://elsewhere.example/score", files={"clip": clip_bytes()})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/checkpoints/diving%401", "/%63heckpoints", "/checkpoints/vault"]
)
def test_percent_encoding_means_nothing(local_server: LiveServer, path: str) -> None:
    assert ask(local_server, f"GET {path}")[0] == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/docs/", "../docs"),
        ("//docs", "../docs"),
        ("/checkpoints//diving/", "../../../checkpoints/diving"),
        ("/checkpoints/?a=b", "../checkpoints?a=b"),
        ("//evil.example/%2e%2e", None),
        ("/checkpoints/http://x/diving", None),
    ],
)
def test_a_reader_is_sent_on_without_naming_a_host(
    local_server: LiveServer, path: str, location: str | None
) -> None:
    status, answer = ask(local_server, f"GET {path}")
    if location is None:
        assert status == 404
        return
    assert status == 307
    assert f"location: {location}\r\n" in answer
    there = httpx.get(urljoin(local_server.url + re.sub("^/+", "/", path), location), timeout=60)
    assert there.status_code == (422 if "?" in path else 200)


# ---- below a prefix


def test_no_prefix_can_be_taken_for_an_address_of_ours(store: Store) -> None:
    paths = create_app(Settings(), store).openapi()["paths"]
    names = {path.split("/")[1] for path in paths}
    assert names | {"docs", "openapi.json", "web"} == OWN_NAMES


@contextmanager
def proxied(server: LiveServer, prefix: str, *, takes_off: bool) -> Iterator[str]:
    """A proxy that publishes the service below a prefix; its address with it."""

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith(prefix + "/"):
                self.send_error(502)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.removeprefix(prefix) if takes_off else self.path
            skipped = ("host", "connection")
            headers = {n: v for n, v in self.headers.items() if n.lower() not in skipped}
            answer = httpx.request(
                self.command, server.url + path, content=body, headers=headers, timeout=60
            )
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Location", "X-Request-ID"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = forward

        def log_message(self, *_: object) -> None:
            pass

    with serving(Proxy) as url:
        yield url + prefix


@pytest.fixture(scope="module")
def prefixed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings: dict[str, Any] = {"root_path": "/meet/scorer/", "api_keys": "a-key"}
    with live_server(store.root, tmp_path_factory.mktemp("prefixed"), **settings) as server:
        yield server


@pytest.mark.parametrize("takes_off", [True, False], ids=["taken off", "left"])
def test_everything_works_below_a_prefix(prefixed: LiveServer, takes_off: bool) -> None:
    with proxied(prefixed, "/meet/scorer", takes_off=takes_off) as url:
        works_below(url, key="a-key")
        for path in ("/admin/reload", "/score", "/rank", "/checkpoints"):
            assert httpx.post(url + path).status_code == 401  # a prefix opens no door
    if not takes_off:
        bare = httpx.get(f"{prefixed.url}/meet/scorer", follow_redirects=True)
        assert bare.url.path == "/meet/scorer/"
        assert bare.headers["content-type"].startswith("text/html")


def test_nothing_need_be_set_where_the_proxy_takes_it_off(local_server: LiveServer) -> None:
    with proxied(local_server, "/scorer", takes_off=True) as url:
        works_below(url)


def works_below(url: str, key: str | None = None) -> None:
    for page in ("/", "/docs"):
        text = httpx.get(url + page, timeout=60).text
        named = re.findall(r'(?:href|src)="([^"]+)"', text) + re.findall(r"url: '([^']+)'", text)
        local = [name for name in named if not name.startswith("http")]
        assert local
        for name in local:
            assert httpx.get(urljoin(url + page, name), timeout=60).status_code == 200, name
    document = httpx.get(f"{url}/openapi.json", timeout=60).json()
    [server] = document["servers"]
    assert urljoin(f"{url}/openapi.json", server["url"]) == f"{url}/"
    with ScoringClient(url, key=key) as client:
        assert client.checkpoint("vault")["action"] == "vault"
        assert len(client.rank([DIVE, DIVE])["order"]) == 2
    readers = httpx.get(f"{url}/docs/", follow_redirects=True, timeout=60)
    assert str(readers.url) == f"{url}/docs"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
                                    "X-Forwarded-Prefix", "Forwarded"])  # fmt: skip
def test_what_a_proxy_reports_of_the_client_changes_nothing(
    local_server: LiveServer, header: str
) -> None:
    value = "for=203.0.113.9;proto=https;host=evil.example"
    for path in ("/docs/", "/openapi.json", "/"):
        plain, reported = (
            httpx.get(local_server.url + path, headers=headers, timeout=60)
            for headers in ({}, {header: value})
        )
        assert reported.status_code == plain.status_code
        assert reported.content == plain.content
        assert reported.headers.get("location") == plain.headers.get("location")
    assert "203.0.113.9" not in json.dumps(local_server.log_lines())
