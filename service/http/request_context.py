"""
The context of one HTTP request: its id, its time, its line in the log and in the metrics.

The rule: every answer has its request id, and one that comes before the client has sent everything
ends the connection. Pure ASGI.
"""

import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPMethod

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ClientGone
from service.http.paths import own_path, prefix_and_path
from service.logs import request_id
from service.metrics import Metrics, outcome_of
from service.problem_kinds import KINDS, Kind
from service.tracing import OFF, Tracing

log = logging.getLogger(__name__)

QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """What is known of one request; it travels in the ASGI scope."""

    id: str
    client: str
    """Who asks: the address, or which key. Clients are served in turn."""
    began: float = field(default_factory=time.monotonic)
    answered: int = 499
    """Status of the answer; that of a client that hung up until there is one."""
    ended: int | None = None
    """Status with which a stream of events ended: it was answered with 200 before."""
    problem: str | None = None
    """Slug of the problem that was the answer."""
    tracing: Tracing = OFF

    @property
    def status(self) -> int:
        return self.answered if self.ended is None else self.ended

    def fail(self, kind: Kind) -> None:
        """The request ends with this problem, or has ended so."""
        self.problem = kind.slug
        self.tracing.problem(kind)

    @classmethod
    def of(cls, scope: Scope) -> "RequestContext":
        context: RequestContext = scope["state"]["context"]
        return context


def is_quiet(scope: Scope) -> bool:
    """Whether a request, as it came, is for one of the quiet routes."""
    root, path = prefix_and_path(scope)
    return path.removeprefix(root) in QUIET_ROUTES


class RequestContextMiddleware:
    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        counted_paths: frozenset[str],
        closing: Callable[[], bool],
        tracing: Tracing = OFF,
    ) -> None:
        """`score_requests_total` and its kin count the POSTs to `counted_paths`.

        While `closing`, each answer ends its connection, so that few are left to be cut.
        """
        self.app = app
        self._closing = closing
        self._metrics = metrics
        self._tracing = tracing
        self._counted_paths = counted_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        context = RequestContext(
            given if _ID.fullmatch(given) else uuid.uuid4().hex,
            client=address_of(scope),
            tracing=self._tracing,
        )
        scope.setdefault("state", {})["context"] = context
        messages = _Messages(context, scope, receive, send, self._closing)
        token = request_id.set(context.id)
        self._tracing.request_id(context.id)
        method = scope["method"]  # a HEAD is served as a GET
        counted = method == "POST" and own_path(scope) in self._counted_paths
        if counted:
            self._metrics.inflight_requests.inc()
        try:
            await self.app(scope, messages.receive, messages.send)
        finally:
            if context.status == 499:  # a stream whose client left, of which nothing is raised
                self._tracing.problem(KINDS[ClientGone])
            seconds = time.monotonic() - context.began
            if counted:
                self._count(context, seconds)
            log_request(context, method, scope.get("route"), seconds)
            request_id.reset(token)

    def _count(self, context: RequestContext, seconds: float) -> None:
        self._metrics.inflight_requests.dec()
        self._metrics.requests.labels(outcome_of(context.status)).inc()
        self._metrics.request_seconds.observe(seconds)
        if context.problem is not None:
            self._metrics.rejected.labels(context.problem).inc()


def address_of(scope: Scope) -> str:
    """From which a request comes; of IPv6 the network, whose addresses are all one client's."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a socket that is none of the network
        return host
    address = getattr(address, "ipv4_mapped", None) or address
    bits = 64 if address.version == 6 else 32
    return str(ipaddress.ip_network((address, bits), strict=False))


def log_request(context: RequestContext, method: str, route: object, seconds: float) -> None:
    """Of path and method what is known beforehand, since a client may put anything into either."""
    line = {
        "method": method if route is not None and method in HTTPMethod.__members__ else "-",
        "route": getattr(route, "path", "-"),
        "status": context.status,
        "problem": context.problem,
        "ms": round(1e3 * seconds, 1),
    }
    quiet = line["route"] in QUIET_ROUTES
    log.log(logging.DEBUG if quiet else logging.INFO, "request", extra=line)


class _Messages:
    """Adds the request id to the answer, and whether the connection ends with it."""

    def __init__(
        self,
        context: RequestContext,
        scope: Scope,
        receive: Receive,
        send: Send,
        closing: Callable[[], bool],
    ) -> None:
        headers = Headers(scope=scope)
        self._all_received = (
            headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        )
        self._context, self._receive, self._send = context, receive, send
        self._closing = closing

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._all_received = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._context.answered = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._context.id
            headers["X-Content-Type-Options"] = "nosniff"
            if not self._all_received or self._closing():
                headers["Connection"] = "close"
        await self._send(message)
