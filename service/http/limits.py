"""
What a request must pass before and while its body is read: key, origin, admission, size, time, its
end.

The rule: nothing is parsed, and no byte of the body is read, for a request that has no right to
it; and no more bytes than allowed are ever accepted. The size is checked at the first read of the
body, so an unknown address gets 404 and not 413. Pure ASGI, so nothing is buffered here.

The limits of the form's parts (how many files and fields, how large a field) are in `routes`.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    ForeignOrigin,
    HeadTooLarge,
    MalformedRequest,
    MalformedUpload,
    NoRoom,
    Unauthorised,
)
from service.http.last_boundary import LastBoundary
from service.http.paths import own_path, tidied
from service.http.request_context import RequestContext
from service.metrics import Metrics
from service.settings import Settings

HEAD_BYTES = 16 << 10  # of the address and the headers of a request
MOST_HEADERS = 100  # as Apache has it; browsers and proxies send some 30
SMALL_BODY = 64_000  # bytes; of a request that brings no clip
GRACE_S = 10.0  # before the slowest allowed rate counts
ADMIN = "/admin/"  # needs a key, also where nothing else does
ARCHIVE = "/clips"  # so does this, where others can reach the service
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # change nothing, and browsers hide answers
OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/docs", "/openapi.json", "/metrics"})
OPEN_PREFIX = "/web/"  # the page's own files


class LimitsMiddleware:
    """ASGI middleware. What it refuses it raises, as a ServiceError."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        metrics: Metrics,
        admit: Callable[[str], None],
        admitted_paths: frozenset[str],
        body_limits: Mapping[str, int],
    ) -> None:
        """`admit` raises for a client whose request to `admitted_paths` is pointless now.

        `body_limits` has the bytes of a body for each path that may have more than a small one.
        """
        self.app = app
        self._settings = settings
        self._metrics = metrics
        self._admit = admit
        self._admitted_paths = admitted_paths
        self._body_limits = body_limits
        self._held: Counter[str] = Counter()  # bytes of the bodies of each client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), own_path(scope)
        check_head(scope, headers)
        context = RequestContext.of(scope)
        if (key := self._check_key(path, headers)) is not None:
            context.client = f"key {key}"
        else:  # a page of another origin can send a key only if a preflight allows it
            check_origin(scope["method"], headers, self._settings.allowed_origins)
        limit = self._body_limits.get(path, SMALL_BODY)
        if scope["method"] == "POST" and path in self._admitted_paths:
            self._admit(context.client)
            limit = self._settings.max_upload_bytes
        last_boundary = LastBoundary(headers.get("content-type", ""))
        body = _Body(context.client, time.monotonic(), limit, _announced(headers), last_boundary)
        body.is_ignored = scope["method"] != "POST"

        async def note(message: Message) -> None:
            body.is_ignored = True
            await send(message)

        try:
            await self.app(scope, lambda: self._receive(body, receive), note)
        finally:
            self._hold(body.client, -body.size)

    async def _receive(self, body: "_Body", receive: Receive) -> Message:
        if body.complete:
            return await receive()
        if body.is_ignored:
            return await _hang_up(receive)
        body.check_size(body.announced)
        try:
            async with asyncio.timeout(self._time_left(body)):
                message = await receive()
        except TimeoutError as error:
            if body.is_ignored:
                return await _hang_up(receive)
            raise BodyTimeout(f"{body.size} bytes after {body.age:.0f} s is too slow") from error
        if body.is_ignored and message["type"] != "http.disconnect":
            return await _hang_up(receive)
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            body.size += size
            self._hold(body.client, size)
            body.check_size(body.size)
            body.last_boundary.feed(message.get("body", b""))
            self._check_held(body.client)
            body.complete = not message.get("more_body", False)
            if body.complete and not body.last_boundary.found:
                raise MalformedUpload("the body ends before its last boundary")
        return message

    def _time_left(self, body: "_Body") -> float:
        until = self._settings.body_timeout_s
        if self._settings.body_bytes_per_s > 0:
            until = min(until, GRACE_S + body.size / self._settings.body_bytes_per_s)
        return until - body.age

    def _hold(self, client: str, size: int) -> None:
        self._held[client] += size
        if not self._held[client]:
            del self._held[client]
        self._metrics.inflight_bytes.set(self._held.total())

    def _check_held(self, client: str) -> None:
        """Raises NoRoom."""
        limit = self._settings.max_inflight_bytes
        if self._held.total() > limit:
            raise NoRoom("too many uploads at once")
        if self._held[client] > self._settings.client_share * limit:
            raise NoRoom("too many uploads of yours at once")

    def _check_key(self, path: str, headers: Headers) -> int | None:
        """Which key it has, if any.   Raises Unauthorised."""
        given = headers.getlist("authorization")
        key = _key_of(given[0], self._settings.api_keys) if len(given) == 1 else None
        if key_needed(path, self._settings) and key is None:
            raise Unauthorised("send Authorization: Bearer and a key")
        return key


def check_head(scope: Scope, headers: Headers) -> None:
    """Raises HeadTooLarge, and MalformedRequest for a head of which a part would be ignored.

    Where `parser` has read the head its size is checked already; a cluster has a proxy instead.
    """
    sizes = [len(name) + len(value) + 4 for name, value in headers.raw]
    address = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    if (size := len(scope["method"]) + address + sum(sizes)) > HEAD_BYTES:
        raise HeadTooLarge(f"{size} bytes, need at most {HEAD_BYTES}")
    if len(headers.raw) > MOST_HEADERS:
        raise HeadTooLarge(f"{len(headers.raw)} headers, need at most {MOST_HEADERS}")
    for name in ("authorization", "content-type"):
        if len(given := headers.getlist(name)) > 1:
            raise MalformedRequest(f"{len(given)} headers {name}, need one")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedRequest("a body with a Content-Encoding, need it as it is")


def check_origin(method: str, headers: Headers, allowed: Collection[str]) -> None:
    """Raises ForeignOrigin for what a page that is not allowed has made a browser send.

    Browsers send a form to any origin without a preflight. All of today report the page by
    `Origin`, and by `Sec-Fetch-Site` unless they reach the service by plain HTTP from elsewhere;
    other clients send neither. As in Go's `http.CrossOriginProtection`.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if method in SAFE_METHODS or origin in allowed or "*" in allowed:
        return
    if site is not None:
        is_own = site in ("same-origin", "none")
    else:
        host = headers.get("host", "").lower()
        is_own = origin is None or origin.partition("://")[2].lower() == host
    if not is_own:
        raise ForeignOrigin("a page of another origin, need one that SCORING_ALLOWED_ORIGINS names")


def key_needed(path: str, settings: Settings) -> bool:
    """Whether a request to this path must bring one of the keys."""
    if settings.anybody_may_ask and f"{tidied(path)}/".startswith(f"{ARCHIVE}/"):
        return True
    is_open = tidied(path) in OPEN_PATHS or path.startswith(OPEN_PREFIX)
    if tidied(path) == "/metrics" and settings.metrics_need_key:
        is_open = False
    return path.startswith(ADMIN) or (bool(settings.api_keys) and not is_open)


@dataclass(slots=True)
class _Body:
    client: str
    began: float
    limit: int
    announced: int
    last_boundary: LastBoundary
    size: int = 0
    complete: bool = False
    is_ignored: bool = False
    """Whether nothing can be wrong with what still comes: the answer has begun, or the method has
    no use for a body. Some answers wait for the client to hang up meanwhile."""

    @property
    def age(self) -> float:
        return time.monotonic() - self.began

    def check_size(self, size: int) -> None:
        """Raises BodyTooLarge."""
        if size > self.limit:
            raise BodyTooLarge(f"more than {self.limit} bytes")


async def _hang_up(receive: Receive) -> Message:
    """The only message that is left for an answer to wait for."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


def _key_of(authorization: str, keys: tuple[SecretStr, ...]) -> int | None:
    """Index of a key, in constant time: every key is compared, whichever is right."""
    scheme, _, given = authorization.partition(" ")
    found = None
    for index, key in enumerate(keys):
        if secrets.compare_digest(given.strip().encode(), key.get_secret_value().encode()):
            found = index
    return found if scheme.lower() == "bearer" else None
