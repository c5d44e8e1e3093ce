"""
One HTTP exchange: its id, its time, its line in the log, and an answer whatever happens.

The rule: every request gets exactly one answer with its request id, and an answer that comes
before the client has sent everything is one that the client can still read. Pure ASGI.

    ExchangeMiddleware    the id, the time, the log, the metrics
    ProblemsMiddleware    further in: an exception becomes an answer, to which others add headers
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Draining
from service.http.paths import own_path
from service.http.problems import answer_problem
from service.logs import request_id
from service.metrics import Metrics, outcome_of

log = logging.getLogger(__name__)

LINGER_S = 5.0  # how long the rest of a refused body is read and thrown away
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ExchangeMiddleware:
    """Leaves `began`, on the monotonic clock, in the request's state."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        counted_paths: frozenset[str],
        closing: Callable[[], bool],
    ) -> None:
        """`score_requests_total` and its kin count the POSTs to `counted_paths`.

        While `closing`, each answer ends its connection, so that few are left to be cut.
        """
        self.app = app
        self._closing = closing
        self._metrics = metrics
        self._counted_paths = counted_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._closing)
        token = request_id.set(exchange.id)
        counted = scope["method"] == "POST" and own_path(scope) in self._counted_paths
        if counted:
            self._metrics.inflight_requests.inc()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            seconds = time.monotonic() - exchange.began
            if counted:
                self._metrics.inflight_requests.dec()
                self._metrics.requests.labels(outcome_of(exchange.status)).inc()
                self._metrics.request_seconds.observe(seconds)
                if exchange.problem is not None:
                    self._metrics.rejected.labels(exchange.problem).inc()
            summary = exchange.summary() | {"ms": round(1e3 * seconds, 1)}
            quiet = summary["route"] in QUIET_ROUTES
            log.log(logging.DEBUG if quiet else logging.INFO, "request", extra=summary)
            request_id.reset(token)


class ProblemsMiddleware:
    """The answer of last resort: below it, whatever is raised becomes a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answering = False

        async def note(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        async def answer(error: Exception) -> None:
            response = await answer_problem(Request(scope), error)
            await response(scope, receive, send)

        try:
            await self.app(scope, receive, note)
        except asyncio.CancelledError:  # by uvicorn, when SCORING_DRAIN_S is over
            if answering:
                raise
            await answer(Draining("the service went down before it was done"))
        except Exception as error:  # the last place where it can still become an answer
            if answering:
                raise
            await answer(error)


class _Exchange:
    def __init__(
        self, scope: Scope, receive: Receive, send: Send, closing: Callable[[], bool]
    ) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        self.began = time.monotonic()
        self._method = scope["method"]  # a HEAD is served as a GET
        self._status = 499  # until there is an answer
        self._all_received = (
            headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        )
        self._closing = closing
        self._scope, self._receive, self._send = scope, receive, send
        self._state = scope.setdefault("state", {})
        self._state["began"] = self.began

    @property
    def status(self) -> int:
        """Of the answer; a stream of events said 200 and knows better in the end."""
        status: int = self._state.get("final_status", self._status)
        return status

    @property
    def problem(self) -> str | None:
        """Slug of the problem that was the answer."""
        slug: str | None = self._state.get("problem")
        return slug

    def summary(self) -> dict[str, object]:
        """For the log. The route's template, since a path may hold anything."""
        route = self._scope.get("route")
        return {
            "method": self._method if route is not None else "-",
            "route": getattr(route, "path", "-"),
            "status": self.status,
            "problem": self.problem,
        }

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._all_received = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.id
            if not self._all_received or self._closing():
                headers["Connection"] = "close"
        elif not self._all_received and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Most clients read the answer only when they have sent all: let them come to that."""
        try:
            async with asyncio.timeout(LINGER_S):
                while not self._all_received:
                    await self.receive()
        except TimeoutError:
            pass
