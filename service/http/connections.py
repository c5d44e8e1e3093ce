"""
Closes connections that are idle, slow or too many. uvicorn keeps them for ever, a descriptor each.

The rule: whoever is connected has a request being answered, or little time to send the head of
the next one or to take in the answer, or waits between two requests for as long as proxies do; and
there are never more connections than allowed. The one that waits longest makes room for a new one.
"""

import asyncio
import sys
import uuid
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import HeadTooLarge, MalformedRequest
from service.http.limits import HEAD_BYTES
from service.http.problems import MEDIA_TYPE, problem_of
from service.logs import request_id


class Connection(H11Protocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings = self.config.app.state.service.settings  # type: ignore[union-attr]
        self._until_head: asyncio.TimerHandle | None = None
        self._until_taken: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        """On the loop's clock, while it waits between two requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._settings.max_connections and not self._find_room():
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._until_head)
        self._stop(self._until_taken)
        self._idle_since = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before, was_idle, self._idle_since = self.cycle, self._idle_since is not None, None
        super().data_received(data)
        if self.cycle is not before:
            self._stop(self._until_head)
        elif was_idle:
            self._expect_head()

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_taken()
        elif self.cycle is answered:
            self._idle_since = self.loop.time()
            if self.conn.trailing_data[0]:  # the beginning of the next head came with this one
                self._idle_since = None
                self._expect_head()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_taken()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taken()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._until_taken)
        if self.transport.is_closing():  # which waits for the last byte to be taken
            self._expect_taken()

    def send_400_response(self, msg: str) -> None:
        """A problem with a request id, as all others; uvicorn has a line of text."""
        error = sys.exception()  # h11's; uvicorn handles it here
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # in the middle of an answer
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its request is the one that is malformed
            self.cycle.message_event.set()
        too_large = getattr(error, "error_status_hint", 400) == 431
        text = f"need at most {HEAD_BYTES} bytes" if too_large else ""
        token = request_id.set(uuid.uuid4().hex)
        problem = problem_of(HeadTooLarge(text) if too_large else MalformedRequest(text))
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(problem.json())),
            "X-Request-ID": request_id.get() or "",
            "Connection": "close",
        }
        status = problem.kind.status
        for event in (
            h11.Response(
                status_code=status, headers=[*headers.items()], reason=HTTPStatus(status).phrase
            ),
            h11.Data(data=problem.json().encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        request_id.reset(token)
        self.transport.close()
        self._expect_taken()

    def _find_room(self) -> bool:
        """Close the connection that waits longest, if there is one."""
        waiting = [
            (each._idle_since, each)
            for each in self.connections
            if isinstance(each, Connection) and each._idle_since is not None
        ]
        if not waiting:
            return False
        _, longest = min(waiting, key=lambda pair: pair[0])
        longest._idle_since = None
        longest.timeout_keep_alive_handler()
        return True

    def _expect_head(self) -> None:
        self._stop(self._until_head)
        self._until_head = self.loop.call_later(
            self._settings.head_timeout_s, self.timeout_keep_alive_handler
        )

    def _expect_taken(self) -> None:
        """Closing is not enough where the other side takes nothing."""
        self._stop(self._until_taken)
        self._until_taken = self.loop.call_later(
            self._settings.head_timeout_s, self.transport.abort
        )

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
