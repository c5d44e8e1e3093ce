"""The files and headers that the browser gets. `tests/browser/` tests the page itself."""

import re
from pathlib import Path

import httpx
import pytest

from service.http.page import WEB
from tests.servers import LiveServer

FILES = sorted(path.relative_to(WEB) for path in WEB.rglob("*") if path.is_file())


def test_the_page_and_its_policy(server: LiveServer) -> None:
    response = httpx.get(f"{server.url}/")
    policy = response.headers["content-security-policy"]
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    named = re.findall(r'(?:src|href)="((?:web/|docs)[^"]*)"', response.text)
    assert named
    for path in named:
        assert httpx.get(f"{server.url}/{path}").status_code == 200, path


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_is_served_with_the_policy_and_names_no_host(
    server: LiveServer, path: Path
) -> None:
    response = httpx.get(f"{server.url}/web/{path.as_posix()}")
    assert response.status_code == 200
    assert response.content == (WEB / path).read_bytes()
    assert "default-src 'none'" in response.headers["content-security-policy"]
    if path.suffix in (".html", ".js", ".css"):
        hosts = re.findall(r"https?://[\w.-]+", response.text)
        assert set(hosts) <= {"https://scores.example.org", "https://judges.example"}  # in comments


@pytest.mark.parametrize("path", ["/web/", "/web/nothing.js", "/web/..%2f..%2fREADME.md"])
def test_nothing_else_is_served(server: LiveServer, path: str) -> None:
    response = httpx.get(server.url + path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_demo_clips_are_small() -> None:
    sizes = [path.stat().st_size for path in (WEB / "demo").iterdir()]
    assert sum(sizes) < 2_000_000
    assert max(sizes) < 500_000
