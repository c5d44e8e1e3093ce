"""The middlewares at the ASGI level, where time and bytes can be dealt out one by one."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from service.errors import QueueFull
from service.http import limits
from service.http.limits import LimitsMiddleware
from service.http.problems import ProblemsMiddleware
from service.http.request_context import RequestContextMiddleware, address_of
from service.metrics import Metrics
from service.settings import Settings

pytestmark = pytest.mark.anyio


class Client:
    """Sends a body in parts, with pauses, and keeps the answer."""

    def __init__(self, parts: Iterable[bytes | float], headers: dict[str, str]) -> None:
        self._parts = list(parts)
        self._headers = headers
        self.sent = 0
        self.messages: list[Message] = []

    async def receive(self) -> Message:
        while self._parts:
            part = self._parts.pop(0)
            if isinstance(part, bytes):
                self.sent += len(part)
                return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
            await asyncio.sleep(part)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def ask(self, app: Any, path: str = "/score", method: str = "POST") -> None:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(k.lower().encode(), v.encode()) for k, v in self._headers.items()],
        }
        await app(scope, self.receive, self.send)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(b"".join(m["body"] for m in self.messages[1:]))
        return body


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, answers its size."""
    body = await Request(scope, receive).body()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"size": len(body)}).encode()})


def application(
    admit: Callable[[str], None] = lambda client: None, inner: Any = read_all, **settings: Any
) -> RequestContextMiddleware:
    metrics = Metrics()
    app = LimitsMiddleware(
        inner,
        settings=Settings(**settings),
        metrics=metrics,
        admit=admit,
        admitted_paths=frozenset({"/score"}),
        body_limits={"/long": 100_000},
    )
    return RequestContextMiddleware(
        ProblemsMiddleware(app),
        metrics=metrics,
        counted_paths=frozenset({"/score"}),
        closing=lambda: False,
    )


def sample(app: RequestContextMiddleware, name: str, **labels: str) -> float:
    return app._metrics.registry.get_sample_value(name, labels) or 0.0


async def ask(
    app: RequestContextMiddleware, *parts: bytes | float, path: str = "/score", **headers: str
) -> Client:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    client = Client(parts, {"transfer-encoding": "chunked"} | sent)
    await client.ask(app, path)
    return client


async def test_bytes_are_counted_as_they_arrive() -> None:
    app = application(max_upload_bytes=100)
    assert (await ask(app, b"x" * 60, b"x" * 40)).body == {"size": 100}
    client = await ask(app, b"x" * 60, b"x" * 41, b"x" * 1000)
    assert client.status == 413
    assert client.body["type"] == "/problems/body-too-large"
    assert sample(app, "score_inflight_bytes") == 0
    assert sample(app, "score_requests_total", outcome="too_large") == 1


async def test_an_announced_size_is_refused_before_a_byte_is_read() -> None:
    reads = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        reads.append(await receive())

    client = await ask(application(inner=inner, max_upload_bytes=100), content_length="101")
    assert client.status == 413
    assert not reads


@pytest.mark.parametrize("length", ["-1", "1e9", "", "x", "٣"])
async def test_a_size_that_is_no_number_is_not_believed(length: str) -> None:
    client = Client([b"x" * 101], {"content-length": length, "transfer-encoding": "chunked"})
    await client.ask(application(max_upload_bytes=100))
    assert client.status == 413


async def test_the_whole_body_has_a_deadline() -> None:
    app = application(body_timeout_s=0.2, body_bytes_per_s=0)
    client = await ask(app, *(b"x", 0.06) * 10)
    assert client.status == 408
    assert sample(app, "score_requests_total", outcome="timeout") == 1


async def test_slow_uploads_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_S", 0.1)
    app = application(body_bytes_per_s=1000)
    assert (await ask(app, *(b"x" * 500, 0.1) * 4, b"x")).status == 200  # 5000 a second
    assert (await ask(app, *(b"x" * 10, 0.05) * 6, b"x")).status == 408  # 200 a second


async def test_the_deadline_ends_with_the_body() -> None:
    """An application that waits for the client to hang up after the body gets no deadline."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = Client([b"x"], {"content-length": "1"})
    client._parts = [b"x"]
    original = client.receive

    async def late() -> Message:
        if not client._parts:
            await asyncio.sleep(0.3)
        return await original()

    client.receive = late  # type: ignore[method-assign]
    await client.ask(application(inner=inner, body_timeout_s=0.1))
    assert client.status == 204


async def test_all_uploads_together_have_a_budget() -> None:
    app = application(max_inflight_bytes=100, client_share=1)
    slow = asyncio.create_task(ask(app, b"x" * 60, 0.2, b"x"))
    await asyncio.sleep(0.05)
    assert sample(app, "score_inflight_bytes") == 60
    assert (await ask(app, b"x" * 41)).status == 507
    assert (await ask(app, b"x" * 30)).status == 200
    assert (await slow).status == 200
    assert sample(app, "score_inflight_bytes") == 0


async def test_one_client_cannot_take_all_of_the_budget() -> None:
    """A key is a client; where there are no keys, an address, or a network of IPv6."""
    keys = (SecretStr("first"), SecretStr("second"))
    app = application(max_inflight_bytes=100, client_share=0.6, api_keys=keys)
    first, second = "Bearer first", "Bearer second"
    slow = asyncio.create_task(ask(app, b"x" * 60, 0.2, authorization=first))
    await asyncio.sleep(0.05)
    refused = await ask(app, b"x", authorization=first)
    assert (refused.status, refused.body["detail"]) == (507, "too many uploads of yours at once")
    assert (await ask(app, b"x" * 40, authorization=second)).status == 200
    await slow


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "192.0.2.1", False),
        ("", "", True),
    ],
)
def test_clients_are_told_apart_by_their_addresses(one: str, other: str, same: bool) -> None:
    clients = [address_of({"client": (host, 1)} if host else {}) for host in (one, other)]
    assert (clients[0] == clients[1]) is same


async def test_a_key_is_asked_for_before_the_body_is_read() -> None:
    app = application(api_keys=(SecretStr("first"), SecretStr("second")))
    for wrong in ("", "first", "Basic first", "Bearer", "Bearer firs", "Bearer ünknown"):
        client = Client([b"x"], {"content-length": "1", "authorization": wrong})
        await client.ask(app)
        assert client.status == 401
        assert client.headers["www-authenticate"] == "Bearer"
    for right in ("Bearer first", "bearer second"):
        assert (await ask(app, b"x", authorization=right)).status == 200


async def test_probes_need_no_key_and_metrics_by_setting() -> None:
    keys = (SecretStr("key"),)
    for path in ("/livez", "/readyz", "/docs", "/metrics"):
        assert (await ask(application(api_keys=keys), b"x", path=path)).status == 200
    guarded = application(api_keys=keys, metrics_need_key=True)
    assert (await ask(guarded, b"x", path="/metrics")).status == 401
    assert (await ask(guarded, b"x", path="/metrics/../livez")).status == 401


async def test_a_full_queue_refuses_before_the_body_is_read() -> None:
    def full(client: str) -> None:
        raise QueueFull("full", retry_after_s=3)

    reads = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        reads.append(await receive())

    app = application(full, inner)
    client = await ask(app, b"x")
    assert client.status == 429
    assert client.headers["retry-after"] == "3"
    assert not reads
    assert sample(app, "score_rejected_total", reason="queue-full") == 1


async def test_an_early_answer_ends_the_connection() -> None:
    client = await ask(application(max_upload_bytes=10), *[b"x" * 8] * 5)
    assert client.status == 413
    assert client.headers["connection"] == "close"


async def test_a_body_that_nobody_wants_is_no_error_of_the_answer() -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b""})

    assert (await ask(application(inner=inner), *[b"x" * 90_000] * 5)).status == 200


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("abc-123_X.z", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a b", False),
        ("a\u00e4", False),
    ],
)
async def test_a_well_formed_request_id_is_kept(given: str, taken: bool) -> None:
    client = await ask(application(), b"x", x_request_id=given)
    assert (client.headers["x-request-id"] == given) is taken
    assert client.headers["x-request-id"]


async def test_an_unknown_error_is_answered_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError("secret")

    client = await ask(application(inner=inner), b"x", x_request_id="id-1")
    assert client.status == 500
    assert client.body["request_id"] == "id-1"
    assert "secret" not in json.dumps(client.body)
    [record] = [record for record in caplog.records if record.exc_info]
    assert "secret" in str(record.exc_info)
