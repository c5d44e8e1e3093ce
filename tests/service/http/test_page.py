"""The files and headers that the browser gets. `tests/browser/` tests the page itself."""

import re
from pathlib import Path

import httpx
import pytest

from service.http.documentation import documentation
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


def test_the_documentation_names_every_call_and_needs_no_other_host(server: LiveServer) -> None:
    response = httpx.get(f"{server.url}/docs")
    page = httpx.get(f"{server.url}/")
    for name in ("content-security-policy", "referrer-policy", "x-content-type-options"):
        assert response.headers[name] == page.headers[name]
    assert not re.findall(r"https?://", response.text)
    assert "<script" not in response.text
    assert "style=" not in response.text
    document = httpx.get(f"{server.url}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in response.text
    targets = set(re.findall(r'href="#(\w+)"', response.text))
    assert targets
    assert targets <= set(re.findall(r'id="(\w+)"', response.text))
    for path in re.findall(r'(?:src|href)="([^"#]+)"', response.text):
        assert httpx.get(f"{server.url}/{path}").status_code == 200, path


def test_what_the_document_says_is_text_in_the_page() -> None:
    info = {"title": "<b>", "version": "1", "description": "<script>x</script>"}
    page = documentation({"info": info, "paths": {}, "components": {"schemas": {}}})
    assert "<b>" not in page
    assert "<script>" not in page


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
