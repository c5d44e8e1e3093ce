"""
Errors as `application/problem+json` (RFC 9457): one table from exception class to HTTP status.

The rule: a client gets texts written for it, and no other. Whatever is not in the table, or is
there as our own fault, becomes a 500 that says nothing but the request id.
"""

import errno
import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from model_store import errors as clip_errors
from service import errors
from service.logs import request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_TEXT = 300  # characters of any text that goes out
MAX_NAME = 120  # of the name of a field


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    slug: str
    """Last part of the problem's type, which never changes: /problems/<slug>."""
    title: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"


INTERNAL = Kind(500, "internal-error", "Something went wrong here, not with your request")
INVALID = Kind(422, "invalid-parameter", "A parameter cannot be used")
MALFORMED = Kind(400, "malformed-upload", "The body is not well formed")
NOT_FOUND = Kind(404, "not-found", "There is nothing at this address")

KINDS: dict[type[Exception], Kind] = {
    clip_errors.NotAVideo: Kind(415, "not-a-video", "Not a video that is decoded here"),
    clip_errors.ClipTooLarge: Kind(413, "clip-too-large", "The clip is too large"),
    clip_errors.UnusableClip: Kind(422, "unusable-clip", "The clip cannot be scored"),
    clip_errors.InvalidDifficulty: Kind(422, "invalid-difficulty", "The difficulty is not usable"),
    clip_errors.InvalidPanel: INVALID,
    clip_errors.InvalidTrim: Kind(422, "invalid-trim", "start_s and end_s leave nothing to score"),
    clip_errors.CheckpointNotFound: Kind(404, "unknown-checkpoint", "No such checkpoint here"),
    clip_errors.ModelStoreError: INTERNAL,
    clip_errors.ClipError: Kind(422, "unusable-clip", "The clip cannot be scored"),
    clip_errors.RequestError: INVALID,
    clip_errors.SpecError: INTERNAL,
    clip_errors.CheckpointError: INTERNAL,
    clip_errors.CheckpointExists: INTERNAL,
    clip_errors.CheckpointCorrupt: INTERNAL,
    clip_errors.CheckpointUnreadable: INTERNAL,
    clip_errors.CheckpointIncompatible: INTERNAL,
    clip_errors.EngineError: INTERNAL,
    errors.ServiceError: INTERNAL,
    errors.MalformedRequest: Kind(400, "malformed-request", "The request is not well-formed HTTP"),
    errors.HeadTooLarge: Kind(431, "head-too-large", "The head of the request is too large"),
    errors.NoSuchAddress: NOT_FOUND,
    errors.NotAcceptable: Kind(406, "not-acceptable", "No answer has a form that you accept"),
    errors.MalformedUpload: MALFORMED,
    errors.EmptyFile: Kind(400, "empty-file", "The file is empty"),
    errors.Unauthorised: Kind(401, "unauthorised", "An API key is needed"),
    errors.BodyTimeout: Kind(408, "body-timeout", "The request body did not arrive in time"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The request body is too large"),
    errors.InvalidParameter: INVALID,
    errors.DecoderFailed: Kind(422, "decoder-failed", "The clip breaks the decoder"),
    errors.DecoderTimeout: Kind(422, "decoder-timeout", "The clip takes too long to decode"),
    errors.ReloadRefused: Kind(409, "reload-refused", "The checkpoints stay as they are"),
    errors.QueueFull: Kind(429, "queue-full", "Too much work is waiting already"),
    errors.ClientGone: Kind(499, "client-gone", "The client hung up"),
    errors.Unavailable: Kind(503, "unavailable", "The service cannot answer now"),
    errors.CheckpointUnusable: Kind(503, "checkpoint-unusable", "The checkpoint cannot be used"),
    errors.NotReady: Kind(503, "not-ready", "The checkpoints are still being loaded"),
    errors.Draining: Kind(503, "draining", "The service is going down"),
    errors.EngineDead: Kind(503, "engine-dead", "The engine has failed"),
    errors.DecoderUnavailable: Kind(503, "decoder-unavailable", "No decoder can be started"),
    errors.DecoderInterrupted: Kind(503, "decoder-interrupted", "The decoder was interrupted here"),
    errors.DeadlinePassed: Kind(504, "deadline-passed", "The answer was not ready in time"),
    errors.NoRoom: Kind(507, "no-room", "There is no room for the upload"),
    ClientDisconnect: Kind(499, "client-gone", "The client hung up"),
}

_HTTP = {
    400: MALFORMED,
    404: NOT_FOUND,
    405: Kind(405, "method-not-allowed", "This address does not take this method"),
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


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
        return json.dumps(self.body())

    def response(self) -> Response:
        return JSONResponse(
            self.body(), status_code=self.kind.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def problem_of(error: Exception) -> Problem:
    """What the client is told about an exception."""
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
    if isinstance(error, OSError) and error.errno in _FULL:
        return Problem(KINDS[errors.NoRoom])
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        return Problem(KINDS[errors.Unavailable])
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
    if kind is INTERNAL:
        return Problem(kind)
    if isinstance(error, (errors.QueueFull, errors.DecoderInterrupted)):
        seconds = error.retry_after_s
        return Problem(kind, str(error), {"Retry-After": str(seconds)}, {"retry_after_s": seconds})
    if isinstance(error, errors.Unauthorised):
        return Problem(kind, str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, (errors.InvalidParameter, clip_errors.InvalidPanel)):
        wrong = {"name": error.field, "reason": str(error)}
        return Problem(kind, f"{error.field}: {error}", members={"errors": [wrong]})
    return Problem(kind, str(error) or None)


async def answer_problem(request: Request, error: Exception) -> Response:
    """The exception handler of the whole application."""
    return report_problem(request, error).response()


def report_problem(request: Request, error: Exception) -> Problem:
    """What the client is told, once it is noted for the log and the metrics."""
    problem = problem_of(error)
    request.state.problem = problem.kind.slug
    if problem.kind.status == 500:
        log.error("a request failed", exc_info=error)
    return problem


def _of_parser(detail: str) -> str:
    """What the multipart parser says; it takes a clip whose part has no filename for a field."""
    return f"{detail} A clip's part needs a filename." if "exceeded" in detail else detail


def _of_validation(error: RequestValidationError) -> Problem:
    wrong = []
    for each in error.errors():
        where = each["loc"][1] if len(each["loc"]) > 1 else "body"
        name = (
            _printable(where, MAX_NAME) if isinstance(where, str) else "body"
        )  # an index: not JSON
        is_file = name in ("clip", "clips") and each["type"] == "missing"
        need = "need a file" if is_file else _printable(each["msg"], MAX_TEXT)
        wrong.append({"name": name, "reason": need})
    detail = "; ".join(f"{each['name']}: {each['reason']}" for each in wrong)
    return Problem(INVALID, detail, members={"errors": wrong[:16]})


def _printable(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:most]
