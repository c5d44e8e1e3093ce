"""Bodies that are no sound multipart, in every way that parsers have been attacked."""

import tempfile
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from model_store.store import Store
from service.http.last_boundary import LastBoundary
from tests.clips import clip_bytes
from tests.servers import App, running_app

pytestmark = pytest.mark.anyio

HEAD = b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
TYPE = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
async def app(store: Store) -> AsyncIterator[App]:
    async with running_app(store, checkpoints="diving", body_timeout_s=20) as app:
        yield app


async def post(
    app: App, body: bytes | AsyncIterator[bytes], content_type: str = TYPE
) -> httpx.Response:
    return await app.client.post("/score", content=body, headers={"content-type": content_type})


def body_of(**fields: bytes) -> bytes:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields.items()
    ]
    return b"".join(parts) + HEAD + clip_bytes(frames=20, height=48, width=64) + b"\r\n--b--\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_the_last_boundary_is_found_however_it_arrives(step: int) -> None:
    body = HEAD + b"--b- --" + b"\r\n--b--\r\n"
    for end in range(len(body) + 1):
        last = LastBoundary(TYPE)
        for at in range(0, end, step):
            last.feed(body[at : min(at + step, end)])
        assert last.found == (end >= len(body) - 2)


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/form-data", "x;boundary=b"])
def test_other_bodies_have_no_last_boundary(kind: str) -> None:
    assert LastBoundary(kind).found


@pytest.mark.parametrize("missing", [3, 5, 8, 200, -100])
async def test_a_body_that_is_cut_off_is_malformed(app: App, missing: int) -> None:
    response = await post(app, body_of(action=b"diving")[:-missing])
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/malformed-upload"


async def test_a_complete_body_is_read(app: App) -> None:
    for end in (b"", b"\r\n", b"an epilogue"):
        response = await post(app, body_of(action=b"diving").removesuffix(b"\r\n") + end)
        assert response.status_code == 200


@pytest.mark.parametrize(
    "charset", ["idna", "undefined", "utf-7", "zlib", "no-such", "'", "utf-16"]
)
async def test_a_charset_that_makes_no_sense(app: App, charset: str) -> None:
    for value in (b"diving", b"\xff\xfe\0", b"\\N{x"):
        response = await post(app, body_of(action=value), f"{TYPE}; charset={charset}")
        assert response.status_code in (200, 400, 404, 422)


def many(parts: bytes, count: int) -> Iterator[bytes]:
    yield from (parts for _ in range(count))
    yield HEAD + b"x\r\n--b--\r\n"


async def stream(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    ("parts", "statuses"),
    [
        (many(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n', 2000), {400}),
        (many(b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n\r\n', 9),
         {400}),
        (iter([b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n', *[b"x" * 10**6] * 50]),
         {400}),
        (many(b"\r\n" * 500_000, 10), {400, 415}),
        (many(b"x" * 1_000_000, 50), {400, 415}),
        (iter([HEAD + b"x\r\n--b--\r\n", *[b"x" * 1_000_000] * 50]), {400, 415}),
        (iter([b"--b\r\n", *[b"X: y\r\n" * 1000] * 100, b"\r\nx\r\n--b--"]), {400}),
        (iter([b"--b\r\nX: ", *[b"y" * 10**6] * 50, b"\r\n\r\nx\r\n--b--"]), {400}),
    ],
    ids=[
        "CVE-2023-30798: 2000 fields", "nine files", "CVE-2024-47874: a field of 50 MB",
        "CVE-2024-53981: 10 MB of line ends before the first boundary",
        "GHSA-mj87-hwqh-73pj: 50 MB before it", "GHSA-mj87-hwqh-73pj: 50 MB after the last one",
        "GHSA-pp6c-gr5w-3c5g: 100000 headers", "GHSA-pp6c-gr5w-3c5g: a header of 50 MB",
    ],
)  # fmt: skip
async def test_floods_end_in_a_4xx(app: App, parts: Iterator[bytes], statuses: set[int]) -> None:
    began = time.process_time()
    response = await post(app, stream(parts))
    assert time.process_time() - began < 10
    assert response.status_code in statuses


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=" + "b" * 10_000,
        "multipart/form-data" + "; a=\\" * 5_000,
        'multipart/form-data; !=""' + '"' * 60_000 + "; boundary=b",
        "multipart/form-data; boundary=b; boundary=c; boundary*=utf-8''d",
        "application/x-www-form-urlencoded",
    ],
    ids=["long", "CVE-2024-24762", "CVE-2024-24762 quotes", "several", "CVE-2026-54283"],
)
async def test_content_types_that_cost_time(app: App, kind: str) -> None:
    began = time.process_time()
    response = await post(app, b";" * 200_000 + b"&a=b" * 50_000, kind)
    assert response.status_code == (431 if len(kind) > 16_000 else 400)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="clip"; filename="../../../etc/passwd"',
        b'form-data; name="clip"; filename="/etc/passwd"',
        b'form-data; name="clip"; filename="a\\"; name=\\"action"',
        b'form-data; name="clip"; filename="\x1b[31m\xff\x00"',
        b'form-data; name="clip"; filename="' + b"n" * 100_000 + b'"',
        b"form-data; name=\"clip\"; filename=\"c\"; name*=utf-8''action; filename*=utf-8''..%2fx",
    ],
    ids=["CVE-2026-24486", "absolute", "quotes", "control", "long", "CVE-2026-53537"],
)
async def test_the_file_name_means_nothing(
    app: App, disposition: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clip_bytes(frames=20, height=48, width=64)
    body = b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + clip + b"\r\n--b--\r\n"
    response = await post(app, body)
    assert response.status_code in (200, 400)
    assert "passwd" not in response.text + caplog.text


async def test_no_upload_is_left_in_the_temp_folder(
    app: App, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("uploads")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for body in (HEAD + b"x" * 3_000_000, HEAD + b"x" * 3_000_000 + b"\r\n--b--", body_of()):
        await post(app, body)
        assert not list(folder.iterdir())


async def test_a_clip_without_a_file_name_is_told_from_a_long_field(app: App) -> None:
    response = await post(app, body_of(action=b"diving").replace(b'; filename="c"', b""))
    assert response.status_code == 400
    assert response.json()["detail"].endswith("A clip's part needs a filename.")
