"""
The progress of a request, sent while it is worked on: server-sent events.

    queued → decoding (n of N, many times) → scoring → result | problem

The rule: a request that fails before its first event gets its problem as an ordinary answer with
its status; after that the status is 200 and the last event reports how it ended. A client that
leaves stops the work.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from typing import Any
from urllib.request import parse_http_list

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel
from pydantic_core import to_json
from python_multipart.multipart import parse_options_header
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.errors import NotAcceptable
from service.http.problems import report_problem
from service.http.request_context import RequestContext
from service.scoring.progress import Decoding, OnProgress, ProgressEvent, Queued, Scoring

EXAMPLE = """event: queued
data: {"ahead": 0}

event: decoding
data: {"done": 64, "of": 151}

event: scoring
data: {}

event: result
data: {"request_id": "5f0c7d9a", "score": 84.15, "and": "all else of the JSON answer"}

"""
SILENCE_S = 15.0  # then a comment is sent, for proxies that close idle connections
MEDIA_TYPE = "text/event-stream"
_NAMES = {Queued: "queued", Decoding: "decoding", Scoring: "scoring"}
_Q = re.compile(rb"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def wants_events(request: Request) -> bool:
    """Whether the client prefers events to JSON, as RFC 9110, section 12.5.1, has it.

    The higher q wins; of equal ones what is named and not just allowed by a wildcard; then JSON.
    A client that allows neither and refuses neither gets JSON.   Raises NotAcceptable.
    """
    ranges = _ranges(", ".join(request.headers.getlist("accept")))
    events, plain = _quality(ranges, MEDIA_TYPE), _quality(ranges, "application/json")
    if plain == 0 and not events:
        raise NotAcceptable(f"need Accept to allow application/json or {MEDIA_TYPE}")
    named = MEDIA_TYPE in ranges, "application/json" in ranges
    return bool(events) and (events, named[0]) > (plain or 0, named[1])


def _ranges(accept: str) -> dict[str, float]:
    """q of each media range; one that is malformed is left out."""
    found = {}
    for part in parse_http_list(accept):
        kind, options = parse_options_header(part)
        q = options.get(b"q", b"1")
        if _Q.fullmatch(q):
            found[kind.decode("latin-1").lower()] = float(q)
    return found


def _quality(ranges: dict[str, float], media_type: str) -> float | None:
    """By the most specific range; None if there is none."""
    names = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return next((ranges[name] for name in names if name in ranges), None)


async def stream(
    request: Request, work: Callable[[OnProgress], Coroutine[Any, Any, BaseModel]]
) -> EventSourceResponse:
    """The progress of `work`, then its result or problem.   Raises what it raises before any."""
    progress: asyncio.Queue[ProgressEvent | None] = asyncio.Queue()
    task = asyncio.create_task(work(progress.put_nowait))
    task.add_done_callback(lambda _: progress.put_nowait(None))
    try:
        first = await progress.get()
        if first is None:
            task.result()
    except BaseException:
        task.cancel()
        raise
    return _Stream(request, task, first, progress)


class _Stream(EventSourceResponse):
    def __init__(
        self,
        request: Request,
        task: asyncio.Task[BaseModel],
        first: ProgressEvent | None,
        progress: asyncio.Queue[ProgressEvent | None],
    ) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(self._events(first), headers=headers)
        self._request, self._task, self._progress = request, task, progress
        self._context = RequestContext.of(request.scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._context.ended = 499  # until the last event
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._task.cancel()

    async def _events(self, step: ProgressEvent | None) -> AsyncIterator[bytes]:
        while step is not None:
            yield format_sse_event(event=_NAMES[type(step)], data_str=_json(step))
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        step = await self._progress.get()
                    break
                except TimeoutError:
                    yield KEEPALIVE_COMMENT
        yield self._last_event()

    def _last_event(self) -> bytes:
        try:
            result = self._task.result()
        except Exception as error:
            problem = report_problem(self._request, error)
            self._context.ended = problem.kind.status
            return format_sse_event(event="problem", data_str=problem.json())
        self._context.ended = 200
        text = result.model_dump_json(exclude_unset=True)
        return format_sse_event(event="result", data_str=text)


def _json(step: ProgressEvent) -> str:
    return to_json(asdict(step)).decode()
