"""
Errors as `application/problem+json` (RFC 9457), and the answer of last resort.

The rule: a client gets texts written for it, and no other. An internal error is a 500 with
nothing but the request id. Which exception is which kind of problem is in `service.problem_kinds`.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_store.errors import InvalidField, InvalidMeet
from service import errors
from service.http.request_context import RequestContext
from service.logs import request_id
from service.problem_kinds import INTERNAL, INVALID, KINDS, MALFORMED, NOT_FOUND, Kind, kind_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_TEXT = 300  # characters of any text that goes out
MAX_NAME = 120  # of the name of a field
MOST_NAMED = 16  # fields that are wrong

_HTTP = {
    400: MALFORMED,
    404: NOT_FOUND,
    405: Kind(405, "method-not-allowed", "This address does not take this method"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    kind: Kind
    detail: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)
    """What this kind of problem has beyond the standard members."""

    def body(self) -> dict[str, Any]:
        values = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail and self.detail[:MAX_TEXT],
            "request_id": request_id.get(),
        }
        return values | self.members

    def json(self) -> str:
        """In ASCII: a text may quote half a surrogate pair, which UTF-8 does not have."""
        return json.dumps(self.body())

    def response(self) -> Response:
        return Response(
            self.json(), status_code=self.kind.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def problem_of(error: Exception) -> Problem:
    """What the client may know about an exception."""
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Exception):  # FastAPI's wrapping of what reading raised
            known = problem_of(error.__cause__)
            if known.kind is not INTERNAL or isinstance(error.__cause__, OSError):
                return known  # what the disk does is not the client's fault
        headers = dict(error.headers or {})
        if kind := _HTTP.get(error.status_code):
            return Problem(kind, _of_parser(error.detail) if kind is MALFORMED else None, headers)
        if error.status_code >= 500:
            return Problem(INTERNAL)
        status = HTTPStatus(error.status_code)
        return Problem(Kind(status, f"http-{status}", status.phrase), headers=headers)
    if isinstance(error, ClientDisconnect):
        return Problem(KINDS[errors.ClientGone])
    kind = kind_of(error)
    if kind is INTERNAL or isinstance(error, (OSError, MemoryError)):  # not for clients
        return Problem(kind)
    if isinstance(error, (errors.QueueFull, errors.DecoderInterrupted)):
        seconds = error.retry_after_s
        return Problem(kind, str(error), {"Retry-After": str(seconds)}, {"retry_after_s": seconds})
    if isinstance(error, errors.Unauthorised):
        return Problem(kind, str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, (errors.InvalidParameter, InvalidField)):
        wrong = {"name": error.field, "reason": str(error)}
        return Problem(kind, f"{error.field}: {error}", members={"errors": [wrong]})
    if isinstance(error, InvalidMeet):
        return _of_fields(
            [
                {"name": f"dives[{index}].{field}", "reason": text}
                for index, field, text in error.problems
            ]
        )
    return Problem(kind, str(error) or None)


async def answer_problem(request: Request, error: Exception) -> Response:
    """The exception handler of the whole application."""
    return report_problem(request, error).response()


def report_problem(request: Request, error: Exception) -> Problem:
    """The problem of an exception, once it is noted for log, metrics and traces."""
    problem = problem_of(error)
    RequestContext.of(request.scope).fail(problem.kind)
    if problem.kind.status == 500:
        log.error("a request failed", exc_info=error)
    return problem


class ProblemsMiddleware:
    """The answer of last resort: whatever is raised further in becomes a problem."""

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
            await answer(errors.Draining("the service went down before it was done"))
        except Exception as error:  # the last place where it can still become an answer
            if answering:
                raise
            await answer(error)


def _of_parser(detail: str) -> str:
    """The parser's text, with a hint: it takes a clip whose part has no filename for a field."""
    return f"{detail} A clip's part needs a filename." if "exceeded" in detail else detail


def _of_validation(error: RequestValidationError) -> Problem:
    wrong = []
    for each in error.errors():
        name = _name_of(each["loc"])
        is_file = name in ("clip", "clips") and each["type"] == "missing"
        need = "need a file" if is_file else _printable(each["msg"], MAX_TEXT)
        wrong.append({"name": name, "reason": need})
    return _of_fields(wrong)


def _of_fields(wrong: Sequence[dict[str, str]]) -> Problem:
    detail = "; ".join(f"{each['name']}: {each['reason']}" for each in wrong[:MOST_NAMED])
    return Problem(INVALID, detail, members={"errors": wrong[:MOST_NAMED]})


def _name_of(where: Sequence[str | int]) -> str:
    """The field that is meant: `marks`, or `dives[3].marks` inside of a list."""
    names = list(where[1:])
    while names and not isinstance(names[-1], str):  # a place in a list of values
        names.pop()
    if not names or not isinstance(names[0], str):  # an index: not JSON
        return "body"
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in names)
    return _printable(path.removeprefix("."), MAX_NAME)


def _printable(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:most]
