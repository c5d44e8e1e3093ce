"""
Paths and methods as clients and proxies send them.

The rule: below `PathMiddleware`, `path` is `root_path` + the service's own path, however the
request came. So what needs a key and what is limited is decided on one path, `own_path`.

What a proxy reports of the client (`X-Forwarded-*`, `Forwarded`) changes nothing: no answer holds
the address that the client used, and no limit depends on the client.
"""

import re
from difflib import get_close_matches
from urllib.parse import quote

from fastapi.routing import iter_route_contexts
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import NoSuchAddress

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_SLASHES = re.compile("/{2,}")
_METHODS = ("DELETE", "GET", "POST")  # that a route may have


def own_path(scope: Scope) -> str:
    """The path without the prefix, such as "/score"."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def tidied(path: str) -> str:
    """Without superfluous slashes."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def prefix_and_path(scope: Scope) -> tuple[str, str]:
    """Of a request as it came, in whatever form; the path has the prefix in any case."""
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if origin := _ORIGIN.match(path):
        path = path[origin.end() :] or "/"
    if path != root and not path.startswith(root + "/"):
        path = root + path  # the proxy took the prefix off
    return root, path


class PathMiddleware:
    """The outermost. Takes absolute-form targets, and paths with or without the prefix."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root, path = prefix_and_path(scope)
            scope.update(root_path=root, path=path)
        await self.app(scope, receive, send)


class MethodsMiddleware:
    """HEAD wherever there is GET, OPTIONS at each address, and 405 with all that is allowed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        if method == "OPTIONS" and (allowed := _allowed(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                headers = [each for each in message["headers"] if each[0].lower() != b"allow"]
                message["headers"] = [*headers, (b"allow", _allowed(scope).encode())]
            if message["type"] == "http.response.body" and method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        if method == "HEAD":
            scope["method"] = "GET"
        await self.app(scope, receive, answer)


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """What the router does with a path that it lacks: a person is sent on, a program is not.

    Raises NoSuchAddress, with the path that was most likely meant.
    """
    own = own_path(scope)
    tidy = tidied(own)
    bare = scope["path"] == scope.get("root_path")
    methods = _methods_at(scope, tidy)
    if scope["method"] == "GET" and "GET" in methods:
        # Relative, since a proxy may have taken off a prefix that is not known here.
        name = scope["path"].rpartition("/")[2] + "/"
        target = name if bare else "../" * (own.count("/") - 1) + tidy.removeprefix("/")
        query = scope.get("query_string", b"").decode("latin-1")
        location = quote(target) + (f"?{query}" if query else "")
        await RedirectResponse(location or "./")(scope, receive, send)
        return
    paths = {route.path for route in iter_route_contexts(scope["app"].routes) if route.path}
    meant = [tidy] if methods else get_close_matches(tidy, sorted(paths), n=1)
    raise NoSuchAddress(f"did you mean {meant[0]}?" if meant else "")


def _allowed(scope: Scope) -> str:
    """For an Allow header, "" if there is nothing at this path."""
    own = own_path(scope)
    methods = set(_METHODS) if own == "*" else _methods_at(scope, own)
    if not methods:
        return ""
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def _methods_at(scope: Scope, own: str) -> set[str]:
    path = scope.get("root_path", "") + own
    return {
        method
        for method in _METHODS
        for route in scope["app"].routes
        if route.matches({**scope, "path": path, "method": method})[0] is Match.FULL
    }
